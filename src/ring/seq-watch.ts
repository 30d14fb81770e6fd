/**
 * Waiting for a seq that something else has come to: the appliers, the history. It rings a bell in shared
 * memory whenever it has moved on. Main thread.
 */
import { BellWatch } from './bell.ts';

/** Somebody who waits; kept by its owner only to cancel it. */
export interface SeqWaiter {
  readonly seq: number;
  readonly onApplied: () => void;
}

export class SeqWatch {
  readonly #seqOf: () => number;
  readonly #bell: BellWatch;
  /** Ascending by seq; in the order they came where it is the same. */
  #waiting: SeqWaiter[] = [];

  /** `seqOf` gives the seq; word `bell` of `words` is rung after it has changed. */
  constructor(words: Int32Array, bell: number, seqOf: () => number) {
    this.#seqOf = seqOf;
    this.#bell = new BellWatch(words, bell, () => this.#settle());
  }

  /** The last seq that was come to; 0 before the first. */
  get seq(): number {
    return this.#seqOf();
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Calls `onApplied` once `seq` is come to: before this returns if it is already, and never if no
   * event comes to bear it. Returns the waiter, to cancel by a caller that waits no longer;
   * `undefined` if it was called. Throws a RangeError for what is no seq: it has no place among those who wait.
   */
  whenApplied(seq: number, onApplied: () => void): SeqWaiter | undefined {
    if (!Number.isSafeInteger(seq) || seq < 0) throw new RangeError(`${seq} is no seq`);
    if (this.seq >= seq) {
      onApplied();
      return undefined;
    }
    const waiter = { seq, onApplied };
    this.#waiting.splice(this.#placeAfter(seq), 0, waiter);
    // Notifies those who are due by now; perhaps this one.
    this.#watch();
    return this.#placeOf(waiter) >= 0 ? waiter : undefined;
  }

  /** The waiter is not notified any more; nothing happens if it was notified or canceled before. */
  cancel(waiter: SeqWaiter): void {
    const at = this.#placeOf(waiter);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Nobody is notified any more. */
  dispose(): void {
    this.#waiting = [];
    this.#bell.release();
  }

  /** Where the waiter stands; −1 = it waits no more. */
  #placeOf(waiter: SeqWaiter): number {
    const behind = this.#placeAfter(waiter.seq);
    return behind === 0 ? -1 : this.#waiting.lastIndexOf(waiter, behind - 1);
  }

  /** Where a waiter for `seq` goes: behind all who wait for it or for one before it. */
  #placeAfter(seq: number): number {
    const waiting = this.#waiting;
    let low = 0;
    let high = waiting.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (waiting[middle].seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #watch(): void {
    const isDue = () => this.seq >= (this.#waiting[0]?.seq ?? Number.POSITIVE_INFINITY);
    while (this.#waiting.length > 0 && this.#bell.watch(isDue)) this.#notify();
  }

  #settle(): void {
    this.#notify();
    this.#watch();
  }

  #notify(): void {
    const due = this.#waiting.splice(0, this.#placeAfter(this.seq));
    for (const { onApplied } of due) onApplied();
  }
}
