/**
 * A histogram of one thread, for hot paths: one search and two additions for each value, no object.
 * The bounds are in the unit of what is observed; whoever declares the metric says how many of it make
 * a base unit (registry.ts). What other threads observe is in thread-counters.ts.
 */
import assert from 'node:assert/strict';

/** How often values came up to each bound, and above the last. */
export interface HistogramReading {
  /** Upper bounds, included, ascending. */
  readonly bounds: readonly number[];
  /** One more than there are bounds; each counts its own values only. */
  readonly counts: ArrayLike<number>;
  readonly sum: number;
}

/** For what takes from parts of a millisecond to seconds, in ms: as wide as the slowest disk. */
export const DURATION_BOUNDS_MS: readonly number[] = Object.freeze([
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
]);

/** A library that formats them counts wrong where they are out of order or double. */
export function assertBounds(bounds: readonly number[]): void {
  for (let i = 1; i < bounds.length; i++) {
    assert.ok(bounds[i - 1] < bounds[i], `bounds ascend: ${bounds.join(', ')}`);
  }
}

export class Histogram implements HistogramReading {
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[] = DURATION_BOUNDS_MS) {
    assertBounds(bounds);
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  get sum(): number {
    return this.#sum;
  }

  /** How many values there were. */
  get count(): number {
    return this.counts.reduce((all, count) => all + count, 0);
  }

  /** Counts `value`, which came `times` times. */
  observe(value: number, times = 1): void {
    const { bounds } = this;
    let i = 0;
    // From the lowest on: most values are small, and there are few bounds.
    while (i < bounds.length && value > bounds[i]) i++;
    this.counts[i] += times;
    this.#sum += value * times;
  }
}
