/** Percentiles of samples; pure. */

/** The value at `percent` (0 … 100) of `ascending` samples, by nearest rank; 0 of none. */
export function percentile(ascending: Float64Array, percent: number): number {
  const rank = Math.ceil((percent / 100) * ascending.length);
  return ascending[Math.max(rank, 1) - 1] ?? 0;
}
