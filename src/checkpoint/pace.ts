/**
 * How a checkpoint's thread keeps out of the traffic's way: the lowest priority that gets it done,
 * and after each stretch of work a rest that is many times as long. Checkpoint thread.
 *
 * What counts as work is the time that went by, so the rests also grow with the disk's flushes and
 * with the wait for a core that others want.
 */
import { setPriority } from 'node:os';

/** Rests this many times as long as it worked: a checkpoint takes a sixteenth of a core. */
const REST_SHARE = 15;
const REST_MAX_MS = 500;
const NICENESS = 10;

/** Thrown through the writer when the service wants no checkpoint any more. */
export class Cancelled extends Error {}

export class Pace {
  readonly #cancel: Int32Array;
  readonly #isPaced: boolean;
  #restedMs = performance.now();

  /** `cancel` is one Int32: 1 = give it up. Unpaced, the rests have no length. */
  constructor(cancel: Int32Array, isPaced: boolean) {
    this.#cancel = cancel;
    this.#isPaced = isPaced;
  }

  /** Blocks for a rest; false when the checkpoint is to be given up. */
  rest(): boolean {
    const restMs = Math.min((performance.now() - this.#restedMs) * REST_SHARE, REST_MAX_MS);
    if (this.#isPaced) Atomics.wait(this.#cancel, 0, 0, restMs);
    this.#restedMs = performance.now();
    return Atomics.load(this.#cancel, 0) === 0;
  }

  /** Throws Cancelled when the checkpoint is to be given up. */
  look(): void {
    if (Atomics.load(this.#cancel, 0) === 1) throw new Cancelled();
  }

  /** As `rest`, but throws Cancelled. */
  restOrThrow(): void {
    if (!this.rest()) throw new Cancelled();
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
