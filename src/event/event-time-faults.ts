/**
 * What is wrong with an `occurred_at`: one plain sentence. Main thread; pure.
 */
import type { BodyFault } from '../errors/problems.ts';
import { daysIn } from '../time/calendar.ts';
import { epochUnitOf } from '../time/epoch-unit.ts';
import { EVENT_TIME_MS_MIN, FUTURE_MS_MAX, isEventTime } from './event-time.ts';

/** For what is not a time at all. */
export const EVENT_TIME_RULE =
  'occurred_at must be an RFC 3339 date-time with a zone, such as 2024-03-01T12:00:00Z, or integer ' +
  'milliseconds since 1970.';

const FUTURE_FAULT = 'occurred_at must not be more than 5 minutes in the future;';
const CLOCK_FAULT = `${FUTURE_FAULT} this service's clock says`;

const NUMBER_TEXT = /^-?\d+(\.\d+)?$/;
const DATE = /^(\d{4})-(\d\d)-(\d\d)(.*)$/s;
const TIME = /^(\d\d):(\d\d)(.*)$/s;
const FRACTION = /^(?:\.\d+)?/;
const ZONE = /^[+-](\d\d):(\d\d)$/;

/** Whether an event time is too far ahead of `nowMs`; no time given never is. */
export function isTooFarAhead(occurredAtMs: number | undefined, nowMs: number): boolean {
  return occurredAtMs !== undefined && occurredAtMs > nowMs + FUTURE_MS_MAX;
}

/** What is wrong with a time that is too far ahead of `nowMs`, this machine's clock. */
export function futureFault(occurredAtMs: number, nowMs: number): BodyFault {
  const unit = epochUnitOf(occurredAtMs);
  const detail =
    unit === undefined
      ? `${CLOCK_FAULT} ${new Date(nowMs).toISOString()}.`
      : `${FUTURE_FAULT} ${unit}, and milliseconds are wanted.`;
  return { pointer: '/occurred_at', detail };
}

/** Whether the fault is that the sender's clock and this machine's do not agree. */
export function blamesClock({ detail }: BodyFault): boolean {
  return detail.startsWith(CLOCK_FAULT);
}

/** What is wrong with a value that the schema refused. */
export function eventTimeFault(value: unknown): string {
  if (typeof value === 'number') return numberFault(value);
  return typeof value === 'string' ? textFault(value) : EVENT_TIME_RULE;
}

function numberFault(value: number): string {
  const unit = epochUnitOf(value);
  if (unit !== undefined)
    return `occurred_at must be integer milliseconds since 1970, and ${unit}.`;
  if (value < EVENT_TIME_MS_MIN) return 'occurred_at must not be before the year 0000.';
  if (Number.isInteger(value)) return EVENT_TIME_RULE;
  return 'occurred_at must be whole milliseconds where it is a number; finer times are sent as RFC 3339 text.';
}

function textFault(text: string): string {
  if (NUMBER_TEXT.test(text)) {
    const unit = epochUnitOf(Number(text));
    const looks = unit === undefined ? '' : `, and ${unit}`;
    return `occurred_at must be a number without quotes where it is milliseconds since 1970${looks}.`;
  }
  if (text !== '' && text.trim() !== text) {
    return 'occurred_at must not have white space before or behind it.';
  }
  const date = DATE.exec(text);
  if (date === null) return EVENT_TIME_RULE;
  const [year, month, day] = [Number(date[1]), Number(date[2]), Number(date[3])];
  if (month < 1 || month > 12) return `occurred_at has the month ${date[2]}; there are 01 to 12.`;
  const days = daysIn(year, month);
  if (day < 1 || day > days) {
    return `occurred_at has the day ${date[3]}; ${date[1]}-${date[2]} has 01 to ${days}.`;
  }
  const rest = date[4];
  if (rest === '') return 'occurred_at has no time of day, such as T12:00:00Z behind the date.';
  if (!/^[Tt ]/.test(rest)) return 'occurred_at must have a T or one space between date and time.';
  return clockFault(rest.slice(1)) ?? endFault(text);
}

/** What is wrong with the time of day and the zone by themselves. */
function clockFault(text: string): string | undefined {
  const time = TIME.exec(text);
  if (time === null) return 'occurred_at must have its time of day as hh:mm:ss, with colons.';
  const [, hour, minute, rest] = time as unknown as [string, string, string, string];
  if (hour > '23') {
    return `occurred_at has the hour ${hour}; there are 00 to 23, and midnight is 00:00:00 of the next day.`;
  }
  if (minute > '59') return `occurred_at has the minute ${minute}; there are 00 to 59.`;
  const second = /^:(\d\d)(?!\d)/.exec(rest)?.[1];
  if (second === undefined) return 'occurred_at must have seconds, with two digits, as hh:mm:ss.';
  if (second > '60') return `occurred_at has the second ${second}; there are 00 to 59.`;
  const behind = rest.slice(3);
  if (behind.startsWith(','))
    return 'occurred_at must have a point before the fraction, not a comma.';
  const fraction = FRACTION.exec(behind)?.[0] ?? '';
  if (fraction === '' && behind.startsWith('.'))
    return 'occurred_at has a point without digits behind it.';
  return zoneFault(behind.slice(fraction.length));
}

function zoneFault(text: string): string | undefined {
  if (text === 'Z' || text === 'z') return undefined;
  if (text === '') return 'occurred_at has no zone; Z or an offset such as +01:00 must end it.';
  const zone = ZONE.exec(text);
  if (zone === null) return 'occurred_at must end with its zone as Z or ±hh:mm, such as +01:00.';
  const [, hours, minutes] = zone as unknown as [string, string, string];
  if (hours <= '23' && minutes <= '59') return undefined;
  return `occurred_at has the zone ${text}; offsets go up to 23:59.`;
}

/** What only date, time and zone together can have wrong. */
function endFault(text: string): string {
  if (text.startsWith('60', 17) && isEventTime(`${text.slice(0, 17)}59${text.slice(19)}`)) {
    return 'occurred_at has the second 60, and only 23:59:60 UTC can be a leap second.';
  }
  return 'occurred_at must not be before the year 0000.';
}
