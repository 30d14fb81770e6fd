/**
 * The Gregorian calendar in plain arithmetic, for both readers of times (event/event-time.ts and
 * bulk/hot-time.ts). Any thread; pure.
 */

const DAY_MS = 24 * 60 * 60 * 1000;
const EPOCH_YEAR = 1970;

/** Days of the months before each month, in a common year; index 1 … 12. */
const DAYS_BEFORE = Int32Array.of(0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334);
const DAYS_IN = Int32Array.of(0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31);
/** Leap days before 1970-01-01, counted from year 1. */
const LEAP_DAYS_BEFORE = leapDaysBefore(EPOCH_YEAR);

/** Days of `month` (1 … 12) in `year` (0 … 9999). */
export function daysIn(year: number, month: number): number {
  return DAYS_IN[month] + (month === 2 && isLeapYear(year) ? 1 : 0);
}

/** Midnight in UTC of a date that exists, in ms since the epoch; `year` is 1 … 10,399. */
export function midnightMs(year: number, month: number, day: number): number {
  const leapDay = month > 2 && isLeapYear(year) ? 1 : 0;
  const dayOfYear = DAYS_BEFORE[month] + day - 1 + leapDay;
  const leapDays = leapDaysBefore(year) - LEAP_DAYS_BEFORE;
  return ((year - EPOCH_YEAR) * 365 + leapDays + dayOfYear) * DAY_MS;
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Leap days in the years 1 … year − 1. */
function leapDaysBefore(year: number): number {
  const y = year - 1;
  return ((y / 4) | 0) - ((y / 100) | 0) + ((y / 400) | 0);
}
