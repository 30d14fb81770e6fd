/**
 * The two forms of `occurred_at`: RFC 3339 date-time with a zone, or integer milliseconds. What is
 * wrong with others stands in event-time-faults.ts. Main thread; pure.
 */
import { daysIn, midnightMs } from '../time/calendar.ts';
import { withMicros } from '../time/microseconds.ts';

/** 0000-01-01T00:00:00Z, the first moment that RFC 3339 can write. */
export const EVENT_TIME_MS_MIN = -62_167_219_200_000;
/** How far ahead of this machine's clock an event may claim to be. */
export const FUTURE_MS_MAX = 5 * 60 * 1000;

const ZERO = 0x30;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** After so many years the Gregorian calendar is the same again. */
const CYCLE_YEARS = 400;
const CYCLE_MS = 146_097 * DAY_MS;

/** Whether `text` is an RFC 3339 date-time that exists, leap seconds included. */
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
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  // A pair that is no digits is NaN, with which each of these fails.
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month))) {
    return Number.NaN;
  }
  if (!(hour <= 23 && minute <= 59 && second <= 60)) return Number.NaN;
  if (text[4] !== '-' || text[7] !== '-' || text[13] !== ':' || text[16] !== ':') return Number.NaN;
  // A space instead of the T is allowed by RFC 3339, section 5.6.
  if (text[10] !== 'T' && text[10] !== ' ' && text[10] !== 't') return Number.NaN;

  let at = 19;
  let micros = 0;
  if (text[at] === '.') {
    let unit = 100_000;
    for (at++; isDigit(text, at); at++) {
      micros += digitAt(text, at) * unit;
      unit = Math.trunc(unit / 10);
    }
    if (at === 20) return Number.NaN;
  }
  const aheadMs = zoneMs(text, at);
  const midnight = midnightMs(year + CYCLE_YEARS, month, day) - CYCLE_MS;
  const minuteMs = midnight + (hour * 60 + minute) * MINUTE_MS - aheadMs;
  // Also false for NaN, which says that there is no zone.
  if (!(minuteMs >= EVENT_TIME_MS_MIN)) return Number.NaN;
  if (second === 60) {
    // No Date has leap seconds. This one stays behind everything before it and before everything after.
    return isLastOfDay(minuteMs) ? withMicros(minuteMs + MINUTE_MS - 1, 999) : Number.NaN;
  }
  const ms = Math.trunc(micros / 1000);
  return withMicros(minuteMs + second * 1000 + ms, micros - ms * 1000);
}

/** How far the zone at `at`, with which `text` must end, is ahead of UTC; NaN if there is none. */
function zoneMs(text: string, at: number): number {
  const first = text[at];
  if (first === 'Z' || first === 'z') return at + 1 === text.length ? 0 : Number.NaN;
  if ((first !== '+' && first !== '-') || at + 6 !== text.length) return Number.NaN;
  const hours = twoDigits(text, at + 1);
  const minutes = twoDigits(text, at + 4);
  if (!(hours <= 23 && minutes <= 59) || text[at + 3] !== ':') return Number.NaN;
  return (hours * 60 + minutes) * (first === '-' ? -MINUTE_MS : MINUTE_MS);
}

/** Whether a leap second can end the minute that begins at `minuteMs`: the last one of a day in UTC. */
function isLastOfDay(minuteMs: number): boolean {
  return (minuteMs + MINUTE_MS) % DAY_MS === 0;
}

/** 0 … 99, or NaN where there are no two digits. */
function twoDigits(text: string, at: number): number {
  return isDigit(text, at) && isDigit(text, at + 1)
    ? digitAt(text, at) * 10 + digitAt(text, at + 1)
    : Number.NaN;
}

function isDigit(text: string, at: number): boolean {
  const digit = digitAt(text, at);
  return digit >= 0 && digit <= 9;
}

/** What the character at `at` stands for if it is a digit; NaN behind the end. */
function digitAt(text: string, at: number): number {
  return text.charCodeAt(at) - ZERO;
}
