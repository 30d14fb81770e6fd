/**
 * Times as this service keeps them: a double of milliseconds since 1970 with whole microseconds behind
 * the point. Any thread; pure.
 *
 * From 1691 to 2248 (|ms| < 2^43) doubles lie less than 1 µs apart, so that each microsecond has one of
 * its own and comes back from it; outside of that, times are whole milliseconds. Every such time is made
 * by `withMicros`, so that equal times are equal bits.
 */
const MICROS_MS_END = 2 ** 43;

/** The time `micros` (0 … 999) microseconds after the whole millisecond `ms`. */
export function withMicros(ms: number, micros: number): number {
  return micros === 0 || Math.abs(ms) >= MICROS_MS_END ? ms : ms + micros / 1000;
}

/** RFC 3339 in UTC: with milliseconds, or with microseconds where there are some. */
export function timeText(ms: number): string {
  if (Number.isInteger(ms)) return new Date(ms).toISOString();
  const wholeMs = Math.floor(ms);
  const micros = Math.round((ms - wholeMs) * 1000);
  const text = new Date(wholeMs).toISOString();
  return `${text.slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}
