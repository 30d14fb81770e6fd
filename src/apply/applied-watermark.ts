/**
 * How far the appliers have come, as a seq: all events up to it are in the store. Notifies whoever
 * waits for one of them. Main thread.
 */

import { appliedBefore } from '../ring/applied-before.ts';
import { BellWatch } from '../ring/bell.ts';
import { COMMIT_BELL_BACK, type CommitRing } from '../ring/commit-ring.ts';
import type { LogProgress } from '../ring/progress.ts';

/** Somebody who waits; kept by its owner only to cancel it. */
export interface AppliedWaiter {
  readonly seq: number;
  readonly onApplied: () => void;
}

export class AppliedWatermark {
  readonly #ring: CommitRing;
  readonly #progress: LogProgress;
  readonly #bell: BellWatch;
  /** Ascending by seq; in the order they came where it is the same. */
  #waiting: AppliedWaiter[] = [];

  constructor(ring: CommitRing, progress: LogProgress) {
    this.#ring = ring;
    this.#progress = progress;
    this.#bell = new BellWatch(ring.cursors, COMMIT_BELL_BACK, () => this.#settle());
  }

  /** The last seq up to which every event is applied (or dead); 0 before the first. */
  get seq(): number {
    return (appliedBefore(this.#progress, this.#ring) ?? 1) - 1;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Calls `onApplied` once `seq` is applied: before this returns if it is already, and never if no
   * event comes to bear it. Returns the waiter, to cancel by a caller that waits no longer;
   * `undefined` if it was called.
   */
  whenApplied(seq: number, onApplied: () => void): AppliedWaiter | undefined {
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
  cancel(waiter: AppliedWaiter): void {
    const at = this.#placeOf(waiter);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Nobody is notified any more. */
  dispose(): void {
    this.#waiting = [];
    this.#bell.release();
  }

  /** Where the waiter stands; −1 = it waits no more. */
  #placeOf(waiter: AppliedWaiter): number {
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
