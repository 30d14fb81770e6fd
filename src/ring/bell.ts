/**
 * Waiting for another thread without blocking: wakes the main thread's event loop when a bell word
 * of shared memory is rung. Built on Atomics.waitAsync, which keeps no process alive by itself.
 */

export class BellWatch {
  readonly #words: Int32Array;
  readonly #bell: number;
  readonly #onRing: () => void;
  readonly #wake = () => {
    this.#watching = false;
    this.#onRing();
  };
  #watching = false;

  /** `onRing` is called on a turn of its own after word `bell` of `words` was rung, once a watch. */
  constructor(words: Int32Array, bell: number, onRing: () => void) {
    this.#words = words;
    this.#bell = bell;
    this.#onRing = onRing;
  }

  /**
   * Watches for the next ring, unless it is watching already. `isDone` is asked after the bell was
   * read, so that what happens in between rings it; returns true, without watching, if it is.
   */
  watch(isDone: () => boolean): boolean {
    while (!this.#watching) {
      const rung = Atomics.load(this.#words, this.#bell);
      if (isDone()) return true;
      const wait = Atomics.waitAsync(this.#words, this.#bell, rung);
      if (!wait.async) continue;
      this.#watching = true;
      void wait.value.then(this.#wake);
    }
    return false;
  }

  /** Ends a watch that nobody will ring for any more, which would keep the memory. */
  release(): void {
    Atomics.notify(this.#words, this.#bell);
  }
}
