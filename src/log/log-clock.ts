/**
 * The log's time: that of the machine, but it never goes back. It is the commit time of frames and the
 * arrival time of events that have none of their own. Log thread; one in each sequencer.
 *
 * Where the machine's clock is behind the last frame's time (it was set back, or is wrong after a
 * restart), the log's stands still until the clock has caught up. It goes on from the last frame across
 * deaths of the thread (progress.ts), restarts (the log's last frame) and restores (the newest update
 * in a checkpoint).
 *
 * Up to TRUSTED_AHEAD_MS. A frame from further ahead was written while the clock was wrong, years
 * perhaps; if the log's time stood still for that long, events with a right time of their own would be
 * stale for as long, on every product that had one without. So the log's time follows the clock again,
 * this once going back. No update is lost by that: an event without a time of its own is taken whatever
 * its arrival says (store/shard-writer.ts).
 */

/** More than an hour of daylight saving, a wrong time zone or a wrong day. */
export const TRUSTED_AHEAD_MS = 48 * 60 * 60 * 1000;

export class LogClock {
  readonly #nowMs: () => number;
  #lastMs: number;

  /** `nowMs` is the machine's clock; `lastMs` the log's time so far, 0 = it has none. */
  constructor(nowMs: () => number, lastMs: number) {
    this.#nowMs = nowMs;
    this.#lastMs = lastMs;
  }

  /** The time given last. */
  get lastMs(): number {
    return this.#lastMs;
  }

  now(): number {
    this.#lastMs = logTimeAfter(this.#lastMs, this.#nowMs());
    return this.#lastMs;
  }
}

/** What the log's time is after `lastMs`, when the machine's clock says `nowMs`. */
export function logTimeAfter(lastMs: number, nowMs: number): number {
  return lastMs > nowMs && lastMs - nowMs <= TRUSTED_AHEAD_MS ? lastMs : nowMs;
}
