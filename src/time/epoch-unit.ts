/**
 * Numbers that were meant as seconds, microseconds or nanoseconds since 1970 where milliseconds are
 * wanted. Any thread; pure.
 *
 *   digits   9–10      11–14        15–16          18–19
 *            seconds   milliseconds microseconds   nanoseconds     … of dates from 1973 to 2286
 *
 * A number of fewer digits is taken as it is: 0 and small ones say "before everything else". As
 * milliseconds, 9 and 10 digits are the days from 2 January to 26 April 1970, of which no shop has
 * prices; whoever means them can say so in text. 15 digits and more lie beyond the year 5138.
 */
export const SECONDS_MIN = 1e8;
export const SECONDS_END = 1e10;

const UNITS = [
  { name: 'seconds', min: SECONDS_MIN, end: SECONDS_END, perMs: 1e-3 },
  { name: 'microseconds', min: 1e14, end: 1e16, perMs: 1e3 },
  { name: 'nanoseconds', min: 1e17, end: 1e19, perMs: 1e6 },
] as const;

/** Says what `value` looks like, with the date that it would be; `undefined`: like milliseconds. */
export function epochUnitOf(value: number): string | undefined {
  const unit = UNITS.find(({ min, end }) => value >= min && value < end);
  if (unit === undefined) return undefined;
  const date = new Date(Math.floor(value / unit.perMs)).toISOString();
  return `${value} looks like ${unit.name} (${date})`;
}
