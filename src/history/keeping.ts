/** HISTORY, as the configuration has checked it. Any thread; pure. */
import { parseDuration } from '../config/quantity.ts';

const DAY_HOURS = 24;

/** How long values are kept; `undefined` = for ever. */
export interface HistoryKeeping {
  readonly keepMs: number | undefined;
}

/** Reads `off`, `forever`, or a duration, which may be in days; `undefined` = off. */
export function parseHistory(text: string): HistoryKeeping | undefined {
  if (text === 'off') return undefined;
  if (text === 'forever') return { keepMs: undefined };
  const days = /^([0-9]+)d$/.exec(text)?.[1];
  return { keepMs: parseDuration(days === undefined ? text : `${Number(days) * DAY_HOURS}h`) };
}
