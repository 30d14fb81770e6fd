/**
 * A rate as the configuration writes it: `1000/1s` is a thousand in each second, and no more than a
 * thousand at once. Pure, any thread.
 */
import { parseDuration } from './quantity.ts';

export interface Rate {
  /** How many in each window, and at once. */
  readonly quota: number;
  /** Whole, because the RateLimit fields know nothing shorter. */
  readonly windowSeconds: number;
}

/** Turns a limit off. */
export const NO_RATE = 'off';

/** A quota up to ten million, and a window of whole seconds. */
export const RATE_PATTERN = `^(${NO_RATE}|([1-9][0-9]{0,6}|10000000)/[1-9][0-9]{0,3}[smh])$`;

/** Reads a rate that matches RATE_PATTERN; `undefined`: there is no limit. */
export function parseRate(text: string): Rate | undefined {
  if (text === NO_RATE) return undefined;
  const [quota = '', window = ''] = text.split('/');
  const windowMs = parseDuration(window);
  if (windowMs === undefined) throw new Error(`expected a rate, found ${text}`);
  return { quota: Number(quota), windowSeconds: windowMs / 1000 };
}
