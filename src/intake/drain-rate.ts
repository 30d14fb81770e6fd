/**
 * How fast the queue drains, measured: events settled per millisecond while there was something to
 * settle. For Retry-After. Main thread.
 */

/** Weight of the newest batch in the moving average. */
const NEWEST_WEIGHT = 0.2;
const SECONDS_MAX = 60;

export class DrainRate {
  #perMs = 0;
  /** When the queue was last seen to move, or to become non-empty. */
  #sinceMs = 0;

  /** The queue was empty until now. */
  started(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** `count` > 0 events were settled since the last call. */
  settled(count: number, nowMs: number): void {
    // Batches closer together than the clock can show count as one tick of it.
    const perMs = count / Math.max(nowMs - this.#sinceMs, 0.01);
    this.#perMs = this.#perMs === 0 ? perMs : this.#perMs + (perMs - this.#perMs) * NEWEST_WEIGHT;
    this.#sinceMs = nowMs;
  }

  /** Whole seconds, 1 … 60, in which `waiting` events should be settled at the measured rate. */
  secondsFor(waiting: number, nowMs: number): number {
    const drainMs = this.#perMs === 0 ? 0 : waiting / this.#perMs;
    // A queue that has stood still for a while is expected to stand still as long again.
    const stalledMs = waiting > 0 ? nowMs - this.#sinceMs : 0;
    const seconds = Math.ceil(Math.max(drainMs, stalledMs) / 1000);
    return Math.min(Math.max(seconds, 1), SECONDS_MAX);
  }
}
