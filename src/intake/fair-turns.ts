/**
 * Shares the event loop between those who work on batches and everybody else: one slice of such work
 * in each turn, whoever asked first. Main thread.
 */

export class FairTurns {
  readonly #queue: (() => void)[] = [];
  readonly #onTurn = () => {
    this.#queue.shift()?.();
    if (this.#queue.length > 0) setImmediate(this.#onTurn);
  };

  /** Resolves on a later turn that is the caller's alone among those who ask here. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(resolve);
      if (this.#queue.length === 1) setImmediate(this.#onTurn);
    });
  }
}
