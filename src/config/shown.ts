/**
 * The effective configuration as it may be shown to anybody: by variable, in the words of a user, secrets
 * masked. Pure, any thread.
 */
import { formatBytes, formatDuration } from './quantity.ts';
import { CONFIG_KEYS, type Config, variableOf } from './schema.ts';

export const SECRET_MASK = '***';

/** Each variable with its value. */
export function shownConfig(config: Config): Record<string, string> {
  return Object.fromEntries(CONFIG_KEYS.map((key) => [variableOf(key).env, shown(config, key)]));
}

/** Only those that are not what they are by default, as `NAME=value`. */
export function changedConfig(config: Config): string[] {
  return CONFIG_KEYS.flatMap((key) => {
    const { env, defaultText } = variableOf(key);
    const text = shown(config, key);
    return text === defaultText ? [] : [`${env}=${text}`];
  });
}

/** The values that must not be shown. */
export function secretsOf(config: Config): string[] {
  return CONFIG_KEYS.flatMap((key) => {
    const value = config[key];
    return variableOf(key).secret === true && typeof value === 'string' && value !== ''
      ? [value]
      : [];
  });
}

function shown(config: Config, key: (typeof CONFIG_KEYS)[number]): string {
  const { kind, secret } = variableOf(key);
  const value = config[key];
  if (value === undefined || value === '') return '';
  if (secret === true) return SECRET_MASK;
  if (typeof value !== 'number') return String(value);
  if (kind === 'bytes') return formatBytes(value);
  return kind === 'duration' ? formatDuration(value) : String(value);
}
