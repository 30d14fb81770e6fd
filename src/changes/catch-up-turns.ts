/**
 * Shares the thread between those who catch up with the changes and everybody else: one slice in a turn of the
 * event loop for all of them together, whoever asked first. While several want one, they rest between
 * two slices for twice as long as the last one took; so they take a third of the thread at the most, however many
 * they are. Main thread.
 */

const REST_SHARE = 2;
const REST_MS_MAX = 100;

/** How long to leave the thread to others after `tookMs` of work. */
export function restAfter(tookMs: number): number {
  return Math.min(tookMs * REST_SHARE, REST_MS_MAX);
}

export class CatchUpTurns {
  readonly #queue: (() => void)[] = [];
  #isScheduled = false;
  readonly #onTurn = () => this.#turn();

  /** Resolves on a later turn that is the caller's alone among those who ask here. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(resolve);
      this.#schedule(0);
    });
  }

  #turn(): void {
    const startMs = performance.now();
    this.#queue.shift()?.();
    // Whoever is served may ask again before the turn is over: one alone is no crowd.
    const areOthersWaiting = this.#queue.length > 0;
    // Behind the slice, which the promise's own microtask does, and behind what its write leaves for the end.
    queueMicrotask(() => {
      process.nextTick(() => {
        this.#isScheduled = false;
        if (this.#queue.length === 0) return;
        this.#schedule(areOthersWaiting ? restAfter(performance.now() - startMs) : 0);
      });
    });
  }

  #schedule(afterMs: number): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    if (afterMs < 1) setImmediate(this.#onTurn);
    else setTimeout(this.#onTurn, afterMs);
  }
}
