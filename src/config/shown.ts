/**
 * A configuration as its user may see it: variables by name, values as they are written, secrets masked.
 * Pure, any thread. Whatever prints a configuration goes through here.
 */
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

function shownValue(config: Config, key: ConfigKey): string | undefined {
  const value = config[key];
  if (value === undefined) return undefined;
  const { kind, secret } = variableOf(key);
  if (secret === true) return MASK;
  if (kind === 'bytes' && typeof value === 'number') return formatBytes(value);
  if (kind === 'duration' && typeof value === 'number') return formatDuration(value);
  return String(value);
}
