/**
 * When all that was decided about room up to a moment is applied. An event of a product that is known is queued
 * without a reservation; so before the place of a product that is known no more is freed, whatever was decided
 * before has to be through.
 *
 *   batches that have decided and not queued all ──▶ all that is claimed is settled ──▶ all with a seq is applied
 *
 * Every producer is asked. The main thread does the first two steps for its own; the others do them for theirs,
 * and say so in shared memory (docs/producers.md has the interleavings):
 *
 *   byte   0  question  i32  its number; main raises it, then notifies
 *         64  for each producer, a line of 64 bytes:
 *             answer    i32  the last question that is answered; the producer writes
 *             takes in  i32  1 = it decides about room; the producer writes, main 0 once it is dead
 */
import type { AppliedWatermark } from '../apply/applied-watermark.ts';
import type { BulkIntake } from '../intake/bulk-intake.ts';
import type { RingIntake } from '../intake/ring-intake.ts';
import { BellWatch } from '../ring/bell.ts';
import { type IntakeRings, isRingSettled, producersOf } from '../ring/intake-ring.ts';
import type { LogProgress } from '../ring/progress.ts';

const LOOK_MS = 5;
const LINE_WORDS = 16;
const QUESTION = 0;
const TAKES_IN = 1;

/** Where the words of a producer begin. */
function answerOf(producer: number): number {
  return LINE_WORDS * (1 + producer);
}

export function fenceBytes(producers: number): number {
  return answerOf(producers) * Int32Array.BYTES_PER_ELEMENT;
}

/** The part of a producer that decides. */
export interface Decider {
  readonly intake: RingIntake;
  readonly bulk: BulkIntake;
}

/** A further producer's end: it answers as long as it takes events in. In its thread. */
export class FenceAnswers {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #decider: Decider;
  readonly #bell: BellWatch;
  #isAnswering = false;

  constructor(fence: SharedArrayBuffer, producer: number, decider: Decider) {
    this.#words = new Int32Array(fence);
    this.#at = answerOf(producer);
    this.#decider = decider;
    this.#bell = new BellWatch(this.#words, QUESTION, () => void this.#answer());
  }

  /** Before the first event is decided about. */
  begin(): void {
    Atomics.store(this.#words, this.#at + TAKES_IN, 1);
    void this.#answer();
  }

  /** Nothing is decided any more, and all that was is settled. */
  end(): void {
    Atomics.store(this.#words, this.#at + TAKES_IN, 0);
    this.#bell.release();
  }

  get #takesIn(): boolean {
    return Atomics.load(this.#words, this.#at + TAKES_IN) === 1;
  }

  /** Answers what was asked, until there is nothing new. */
  async #answer(): Promise<void> {
    if (this.#isAnswering) return;
    this.#isAnswering = true;
    const isNew = () => Atomics.load(this.#words, QUESTION) !== this.#words[this.#at];
    while (this.#takesIn && (isNew() || this.#bell.watch(isNew))) {
      // Read first: what is decided from here on is decided with all that was visible to who asked.
      const question = Atomics.load(this.#words, QUESTION);
      const isSettled = await decisionsSettled(this.#decider, () => this.#takesIn);
      if (!isSettled) break;
      Atomics.store(this.#words, this.#at, question);
    }
    this.#isAnswering = false;
  }
}

export interface AdmissionFenceOptions extends Decider {
  readonly rings: IntakeRings;
  readonly progress: LogProgress;
  readonly watermark: AppliedWatermark;
  /** There where there are further producers. */
  readonly fence: SharedArrayBuffer | undefined;
}

/** Main thread. Resolves then; rejects when the intake is closed meanwhile. */
export async function decisionsApplied(options: AdmissionFenceOptions): Promise<void> {
  const { bulk, rings, progress, watermark, fence } = options;
  const goesOn = () => bulk.isOpen;
  const further = fence === undefined ? undefined : new FenceQuestion(new Int32Array(fence), rings);
  let goesOnStill = await decisionsSettled(options, goesOn);
  goesOnStill &&= await until(goesOn, () => further === undefined || further.isAnswered);
  const seq = progress.loadNextSeq() - 1;
  goesOnStill &&= await until(goesOn, () => watermark.seq >= seq);
  if (!goesOnStill) throw new Error('the intake was closed');
}

/** Main thread: a further producer is dead, and decides nothing. */
export function endDeciding(fence: SharedArrayBuffer, producer: number): void {
  Atomics.store(new Int32Array(fence), answerOf(producer) + TAKES_IN, 0);
}

/** A question to all further producers; made, it is asked. */
class FenceQuestion {
  readonly #words: Int32Array;
  readonly #rings: IntakeRings;
  readonly #number: number;

  constructor(words: Int32Array, rings: IntakeRings) {
    this.#words = words;
    this.#rings = rings;
    this.#number = (Atomics.add(words, QUESTION, 1) + 1) | 0;
    Atomics.notify(words, QUESTION);
  }

  get isAnswered(): boolean {
    return producersOf(this.#rings).every(({ live, bulk }, producer) => {
      if (producer === 0) return true;
      const at = answerOf(producer);
      if (((Atomics.load(this.#words, at) - this.#number) | 0) >= 0) return true;
      // It decides nothing; what it had published before counts.
      const takesIn = Atomics.load(this.#words, at + TAKES_IN) === 1;
      return !takesIn && isRingSettled(live) && isRingSettled(bulk);
    });
  }
}

/** Resolves when what was decided before is settled; to false where it does not go on. */
async function decisionsSettled(
  { intake, bulk }: Decider,
  goesOn: () => boolean,
): Promise<boolean> {
  const { deciding } = bulk.admission;
  const before = [...deciding];
  if (!(await until(goesOn, () => !before.some((batch) => deciding.has(batch))))) return false;
  const live = intake.claimed;
  const batches = bulk.claimed;
  return until(goesOn, () => intake.isSettled(live) && bulk.isSettled(batches));
}

async function until(goesOn: () => boolean, isSo: () => boolean): Promise<boolean> {
  while (!isSo()) {
    if (!goesOn()) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return true;
}
