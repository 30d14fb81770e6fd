/**
 * Long answers, a slice at a time: one slice in each turn of the event loop for all of them
 * together, in turns. So however many there are, other requests wait for one slice at the most.
 * Main thread.
 */

/** Does one bounded piece of work; puts itself in again when there is more. Must not throw. */
export type Slice = () => void;

export class SliceQueue {
  readonly #slices: Slice[] = [];
  #isScheduled = false;
  readonly #turn = (): void => {
    this.#isScheduled = false;
    const slice = this.#slices.shift();
    slice?.();
    this.#schedule();
  };

  /** Runs `slice` on a later turn, after those that were put in before. */
  put(slice: Slice): void {
    this.#slices.push(slice);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#slices.length === 0) return;
    this.#isScheduled = true;
    setImmediate(this.#turn);
  }
}
