/**
 * How a checkpoint's thread keeps out of the traffic's way, and yet keeps up with it. Checkpoint thread.
 *
 * After each piece of work it rests, so that it works `share` of the time. While no events come, and no
 * reads keep the main thread busy, the share is 1: nobody wants the disk or a core, and whoever comes then
 * meets one piece. While they come it is what is needed, no more: every part must be written anew before CHECKPOINT_EVERY of log lies behind it.
 *
 *   share = max over k of   work(k) / time(k)      from SHARE_MIN to 1
 *     work(k)  seconds that the k parts which are furthest behind take at full speed, as it was so far
 *     time(k)  seconds until the k-th of them has CHECKPOINT_EVERY behind it, at the present rate
 *
 * So the log behind the checkpoints stays within CHECKPOINT_EVERY as long as the disk can do that, and
 * beyond it within what is written in one round at full speed, which does not grow either:
 *
 *   replay ≤ max(CHECKPOINT_EVERY, rate × bytes of the store ÷ speed)  + the round that is going on
 *
 * What counts as work is the time that went by, so the rests also grow with the disk's flushes and
 * with the wait for a core that others want.
 */
import { setPriority } from 'node:os';

const SHARE_MIN = 1 / 16;
const REST_MAX_MS = 500;
/** Events that came this long ago are no traffic any more. */
const IDLE_AFTER_MS = 200;
const NICENESS = 10;
/** What is written between two flushes while events come, and while none do. */
const FLUSH_BYTES = 2 << 20;
const IDLE_FLUSH_BYTES = 8 << 20;
const UNPACED_FLUSH_BYTES = 32 << 20;

/** Thrown through the writer when the service wants no checkpoint any more. */
export class Cancelled extends Error {}

/** Words that the main thread writes: 1 = give it up; 1 = requests keep the main thread busy. */
export const PACE_CANCEL = 0;
export const PACE_BUSY = 1;
export const PACE_WORDS = 2;

export interface PaceOptions {
  /** PACE_WORDS of them. */
  readonly control: Int32Array;
  /** Unpaced, the rests have no length. */
  readonly isPaced: boolean;
  /** Seq of the next event to be committed. */
  readonly nextSeq: () => number;
  /** The share that is needed while events come, 0 or more. */
  readonly need: () => number;
}

export class Pace {
  readonly #options: PaceOptions;
  #startedMs = performance.now();
  #workedMs = 0;
  #seenSeq: number;
  #seenMs = Number.NEGATIVE_INFINITY;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#seenSeq = options.nextSeq();
  }

  /** Time that was worked, ms: what `need` may go by. */
  get workedMs(): number {
    return this.#workedMs;
  }

  /** What to write between two flushes. */
  get flushBytes(): number {
    if (!this.#options.isPaced) return UNPACED_FLUSH_BYTES;
    return this.#isIdle() ? IDLE_FLUSH_BYTES : FLUSH_BYTES;
  }

  /** Blocks for a rest; false when the checkpoint is to be given up. */
  rest(): boolean {
    const { control, isPaced, need } = this.#options;
    const workMs = performance.now() - this.#startedMs;
    this.#workedMs += workMs;
    if (isPaced && !this.#isIdle()) {
      const share = Math.min(1, Math.max(SHARE_MIN, need()));
      const restMs = Math.min(workMs * (1 / share - 1), REST_MAX_MS);
      if (restMs > 0) Atomics.wait(control, PACE_CANCEL, 0, restMs);
    }
    this.#startedMs = performance.now();
    return Atomics.load(control, PACE_CANCEL) === 0;
  }

  /** Throws Cancelled when the checkpoint is to be given up. */
  look(): void {
    if (Atomics.load(this.#options.control, PACE_CANCEL) === 1) throw new Cancelled();
  }

  /** As `rest`, but throws Cancelled. */
  restOrThrow(): void {
    if (!this.rest()) throw new Cancelled();
  }

  #isIdle(): boolean {
    const seq = this.#options.nextSeq();
    const nowMs = performance.now();
    // Reads bring no events, and want a core all the same.
    if (Atomics.load(this.#options.control, PACE_BUSY) === 1) this.#seenMs = nowMs;
    if (seq !== this.#seenSeq) {
      this.#seenSeq = seq;
      this.#seenMs = nowMs;
    }
    return nowMs - this.#seenMs >= IDLE_AFTER_MS;
  }
}

/** Before anything else in a paced thread: loading its modules is work too. */
export function lowerPriority(): void {
  try {
    // On Linux a priority belongs to the thread that sets it.
    if (process.platform === 'linux') setPriority(0, NICENESS);
  } catch {
    // Only a courtesy; some containers forbid it.
  }
}
