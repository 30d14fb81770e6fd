/**
 * The two forms of `occurred_at`: RFC 3339 date-time with a zone, or integer milliseconds. What is
 * wrong with others, event-time-faults.ts says. Main thread; pure functions.
 */
import { withMicros } from '../../time/microseconds.ts';

/** 0000-01-01T00:00:00Z, the first moment that RFC 3339 can write. */
export const EVENT_TIME_MS_MIN = -62_167_219_200_000;
/** How far ahead of this machine's clock an event may claim to be. */
export const FUTURE_MS_MAX = 5 * 60 * 1000;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** After so many years the Gregorian calendar is the same again. */
const CYCLE_YEARS = 400;
const CYCLE_MS = 146_097 * DAY_MS;

// A space instead of the T is allowed by RFC 3339, section 5.6.
const FORM =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** Tells whether `text` is an RFC 3339 date-time that exists, leap seconds included. */
export function isEventTime(text: string): boolean {
  return !Number.isNaN(parseEventTime(text));
}

/**
 * Converts a valid `occurred_at` to milliseconds since the epoch, with whole microseconds behind the
 * point (time/microseconds.ts); finer parts are cut off.
 */
export function eventTimeMs(value: string | number): number {
  return typeof value === 'number' ? value + 0 : parseEventTime(value); // −0 becomes 0
}

/** The date-time in `text` as `eventTimeMs` gives it, or NaN. */
function parseEventTime(text: string): number {
  const parts = FORM.exec(text);
  if (parts === null) return Number.NaN;
  const [, year, month, day, hour, minute, second] = parts.map(Number) as number[];
  const isDate = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  if (!isDate || hour > 23 || minute > 59 || second > 60) return Number.NaN;
  const [zoneHours, zoneMinutes] = [Number(parts[9] ?? 0), Number(parts[10] ?? 0)];
  if (zoneHours > 23 || zoneMinutes > 59) return Number.NaN;
  const aheadMs = (zoneHours * 60 + zoneMinutes) * (parts[8] === '-' ? -MINUTE_MS : MINUTE_MS);
  const minuteMs = Date.UTC(year + CYCLE_YEARS, month - 1, day, hour, minute) - CYCLE_MS - aheadMs;
  if (minuteMs < EVENT_TIME_MS_MIN) return Number.NaN;
  if (second === 60) {
    // No Date has leap seconds. This one stays behind everything before it and before everything after.
    return isLastOfDay(minuteMs) ? withMicros(minuteMs + MINUTE_MS - 1, 999) : Number.NaN;
  }
  const micros = Number((parts[7] ?? '').slice(0, 6).padEnd(6, '0'));
  const ms = Math.floor(micros / 1000);
  return withMicros(minuteMs + second * 1000 + ms, micros - ms * 1000);
}

/** Whether a leap second can end the minute that begins at `minuteMs`: the last one of a day in UTC. */
function isLastOfDay(minuteMs: number): boolean {
  return (minuteMs + MINUTE_MS) % DAY_MS === 0;
}

/** Days of `month` (1 … 12) in `year`. */
export function daysIn(year: number, month: number): number {
  // Day 0 of the next month.
  return new Date(Date.UTC(year + CYCLE_YEARS, month, 0)).getUTCDate();
}
