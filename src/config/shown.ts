/**
 * A configuration as its user may see it: variables by name, values as they are written, secrets masked.
 * Pure, any thread. Whatever prints a configuration goes through here.
 */
import { loadConfig } from './load.ts';
import { formatBytes, formatDuration } from './quantity.ts';
import { CONFIG_KEYS, type Config, type ConfigKey, MASK, variableOf } from './schema.ts';

/** Gives every variable that has a value: `{ PORT: '8080', …, JWT_SECRET: '***' }`. */
export function shownConfig(config: Config): Readonly<Record<string, string>> {
  const shown: Record<string, string> = {};
  for (const key of CONFIG_KEYS) {
    const text = shownValue(config, key);
    if (text !== undefined) shown[variableOf(key).env] = text;
  }
  return shown;
}

/** Longer values are cut in one line of text. */
const TEXT_LENGTH_MAX = 80;

/** Gives those that are not what they are by default, as `NAME=value`. */
export function changedConfig(config: Config): string[] {
  const defaults = loadConfig({});
  return CONFIG_KEYS.filter((key) => config[key] !== defaults[key]).map(
    (key) => `${variableOf(key).env}=${inOneLine(shownValue(config, key) ?? '')}`,
  );
}

/** Gives the values that must never be shown. */
export function secretsOf(config: Config): string[] {
  return CONFIG_KEYS.flatMap((key) => {
    const value = config[key];
    return variableOf(key).secret === true && value !== undefined ? [String(value)] : [];
  });
}

function inOneLine(text: string): string {
  const cut = text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX)}…`;
  return /^[\w.,:;/@%+=*-]*$/.test(cut) ? cut : JSON.stringify(cut);
}

function shownValue(config: Config, key: ConfigKey): string | undefined {
  const value = config[key];
  if (value === undefined) return undefined;
  const { kind, secret } = variableOf(key);
  if (secret === true) return MASK;
  if (kind === 'bytes' && typeof value === 'number') return formatBytes(value);
  if (kind === 'duration' && typeof value === 'number') return formatDuration(value);
  return String(value);
}
