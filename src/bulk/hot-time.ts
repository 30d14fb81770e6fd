/**
 * RFC 3339 date-times from bytes, in the form that programs write: from 1970 on, T (or a space) and Z
 * in capitals, with or without a fraction of up to nine digits, zone as Z or ±hh:mm. Anything else (leap seconds,
 * dates that do not exist) is left to event/event-time.ts. Main thread.
 */
import { daysIn, midnightMs } from '../time/calendar.ts';
import { withMicros } from '../time/microseconds.ts';

const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const UPPER_T = 0x54;
const UPPER_Z = 0x5a;

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const FRACTION_DIGITS_MAX = 9;

const FIRST_YEAR = 1970;

export class HotTime {
  /** The time parsed last, as time/microseconds.ts has it; finer parts are cut off. */
  ms = 0;
  /** The date of the time before, as digits: a batch's times are mostly of few days. */
  #date = -1;
  #midnightMs = 0;

  /**
   * Reads the time at `p`, just behind its opening quote. Returns the position behind the closing
   * one, or −1 if it is not in this form.
   */
  parse(b: Uint8Array, p: number): number {
    const year = twoDigits(b, p) * 100 + twoDigits(b, p + 2);
    const month = twoDigits(b, p + 5);
    const day = twoDigits(b, p + 8);
    const hour = twoDigits(b, p + 11);
    const minute = twoDigits(b, p + 14);
    const second = twoDigits(b, p + 17);
    // A pair that is no digits counts so much that one of these fails.
    // A pair that is no digits makes one that no valid date makes.
    const date = (year * 100 + month) * 100 + day;
    if (date !== this.#date) {
      if (!(year >= FIRST_YEAR && year <= 9999 && month >= 1 && month <= 12)) return -1;
      if (day < 1 || day > daysIn(year, month)) return -1;
      this.#date = date;
      this.#midnightMs = midnightMs(year, month, day);
    }
    if (hour > 23 || minute > 59 || second > 59) return -1;
    if (b[p + 4] !== MINUS || b[p + 7] !== MINUS) return -1;
    if (b[p + 10] !== UPPER_T && b[p + 10] !== SPACE) return -1;
    if (b[p + 13] !== COLON || b[p + 16] !== COLON) return -1;

    let at = p + 19;
    let ms = 0;
    let micros = 0;
    if (b[at] === POINT) {
      const start = ++at;
      let unit = 100_000;
      for (let digit = b[at] - ZERO; digit >>> 0 <= 9; digit = b[++at] - ZERO) {
        micros += digit * unit;
        unit = (unit / 10) | 0;
      }
      ms = (micros / 1000) | 0;
      micros -= ms * 1000;
      if (at === start || at - start > FRACTION_DIGITS_MAX) return -1;
    }
    const zone = b[at];
    if (zone === PLUS || zone === MINUS) {
      const zoneHours = twoDigits(b, at + 1);
      const zoneMinutes = twoDigits(b, at + 4);
      if (zoneHours > 23 || zoneMinutes > 59 || b[at + 3] !== COLON) return -1;
      const aheadMs = zoneHours * HOUR_MS + zoneMinutes * MINUTE_MS;
      ms += zone === PLUS ? -aheadMs : aheadMs;
      at += 6;
    } else if (zone === UPPER_Z) at++;
    else return -1;
    if (b[at] !== QUOTE) return -1;

    const clockMs = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + ms;
    this.ms = withMicros(this.#midnightMs + clockMs, micros);
    return at + 1;
  }
}

/** 0 … 99, or at least 10,000 where there are no two digits. */
function twoDigits(b: Uint8Array, p: number): number {
  const tens = b[p] - ZERO;
  const ones = b[p + 1] - ZERO;
  return tens >>> 0 > 9 || ones >>> 0 > 9 ? 10_000 : tens * 10 + ones;
}
