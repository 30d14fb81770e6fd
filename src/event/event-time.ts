/**
 * The two forms of `occurred_at`: RFC 3339 date-time with a zone, or integer milliseconds.
 * Main thread; pure functions.
 */
import addFormats from 'ajv-formats';

/** 0000-01-01T00:00:00Z, the first moment that RFC 3339 can write. */
export const EVENT_TIME_MS_MIN = -62_167_219_200_000;
/** How far ahead of this machine's clock an event may claim to be. */
export const FUTURE_MS_MAX = 5 * 60 * 1000;

// Stricter than ajv-formats in form (T, not a space; zone as ±hh:mm); it knows the calendar.
const SHAPE = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;
const SECONDS_AT = 17;

const isCalendarDateTime = dateTimeCheck();

/** Tells whether `text` is an RFC 3339 date-time that exists, leap seconds included. */
export function isEventTime(text: string): boolean {
  return SHAPE.test(text) && isCalendarDateTime(text);
}

/**
 * Converts a valid `occurred_at` to whole milliseconds since the epoch; finer parts are cut off.
 * A leap second, which no Date has, is the first second after the one before it.
 */
export function eventTimeMs(value: string | number): number {
  if (typeof value === 'number') return value + 0; // −0 becomes 0
  const text = value.toUpperCase();
  if (text.startsWith('60', SECONDS_AT)) {
    return Date.parse(`${text.slice(0, SECONDS_AT)}59${text.slice(SECONDS_AT + 2)}`) + 1000;
  }
  return Date.parse(text);
}

function dateTimeCheck(): (text: string) => boolean {
  const format = addFormats.default.get('date-time');
  if (typeof format !== 'object' || !('validate' in format)) {
    throw new Error('ajv-formats: date-time expected with a validate function');
  }
  const { validate } = format;
  if (typeof validate !== 'function') throw new Error('ajv-formats: date-time is no function');
  return validate as (text: string) => boolean;
}
