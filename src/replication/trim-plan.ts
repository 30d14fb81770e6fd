/**
 * From where on the stream is still needed: what is before that may be removed from it. Stream's thread; pure.
 *
 * An instance needs what comes behind the record that it has on disk (`kept`), for a restart begins there; so
 * does one that is just taking over another one's data, for which that one's `kept` stands still. What may go wrong,
 * and why it does not:
 *  1. An instance is silent for a moment (it restarts, its answer is late): who was heard of within HEARD_MS counts as
 *     it was then. Nobody trims before having listened for so long.
 *  2. What was removed is only in the folders of the instances: so two of them have to have it. One alone waits
 *     until the stream is three quarters full.
 *  3. One is there and does not get on (its disk is full): from nine tenths on it holds nothing any more, or no
 *     instance could write. It joins anew when it is well. Who moves is waited for, however full the stream is.
 *  4. Two trim at once, or one by an old answer: `kept` never goes back, so either is right.
 */
import type { InstanceState } from './instance-state.ts';

/** So long after its last answer an instance is still reckoned with. */
export const HEARD_MS = 30_000;
/** Who has not moved for so long, while the stream has, does not follow it. */
const STUCK_MS = 60_000;
/** Shares of the stream's size. */
const BEGIN = 1 / 2;
const ALONE = 3 / 4;
const PRESSING = 9 / 10;
/** What is left for those that are away for a short time. */
const LEFT = 1 / 4;
const COPIES = 2;

export type Answer = Pick<InstanceState, 'id' | 'role' | 'kept'>;

export interface StreamFill {
  readonly bytes: number;
  readonly bytesMax: number;
  /** First and last position. */
  readonly first: number;
  readonly last: number;
}

interface Known {
  kept: number;
  heardMs: number;
  movedMs: number;
}

export class TrimPlan {
  readonly #id: string;
  readonly #known = new Map<string, Known>();
  #listeningMs: number | undefined;

  /** For the instance that is called `id`. */
  constructor(id: string) {
    this.#id = id;
  }

  /**
   * Takes the answers of one round; returns the position that the stream may begin with, or `undefined`: nothing is
   * to go, or another instance sees to it.
   */
  begins(fill: StreamFill, answers: readonly Answer[], nowMs: number): number | undefined {
    this.#note(fill, answers, nowMs);
    this.#listeningMs ??= nowMs;
    const listenedMs = nowMs - this.#listeningMs;
    const { bytes, bytesMax, first, last } = fill;
    const share = bytesMax > 0 ? bytes / bytesMax : 0;
    if (share <= BEGIN || listenedMs < HEARD_MS || !this.#isFirst(answers)) return undefined;
    const counted = [...this.#known.values()].filter(
      ({ movedMs }) => share <= PRESSING || nowMs - movedMs < STUCK_MS,
    );
    if (counted.length < (share > ALONE ? 1 : COPIES)) return undefined;
    const needed = Math.min(...counted.map(({ kept }) => kept)) + 1;
    const enough = first + Math.floor((last + 1 - first) * (1 - LEFT / share));
    const begins = Math.min(needed, enough);
    return begins > first ? begins : undefined;
  }

  #note({ last }: StreamFill, answers: readonly Answer[], nowMs: number): void {
    for (const { id, kept } of answers) {
      const known = this.#known.get(id) ?? { kept: 0, heardMs: nowMs, movedMs: nowMs };
      if (kept !== known.kept || kept >= last) known.movedMs = nowMs;
      known.kept = kept;
      known.heardMs = nowMs;
      this.#known.set(id, known);
    }
    for (const [id, { heardMs }] of this.#known) {
      if (nowMs - heardMs > HEARD_MS) this.#known.delete(id);
    }
  }

  /** One of those that are there sees to it; that two do is no harm. */
  #isFirst(answers: readonly Answer[]): boolean {
    const ids = answers.filter(({ role }) => role === 'full').map(({ id }) => id);
    return ids.includes(this.#id) && ids.every((id) => id >= this.#id);
  }
}
