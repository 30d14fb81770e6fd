/**
 * Says in words what a variable may be, for error messages and for the reference. Pure, any thread.
 */
import { formatBytes, formatDuration } from './quantity.ts';
import { type ConfigKey, rangeOf, variableOf } from './schema.ts';

/** Completes "must be …": `an integer from 1 to 64`. */
export function allowedPhrase(key: ConfigKey): string {
  switch (variableOf(key).kind) {
    case 'integer':
      return `an integer from ${allowedValues(key)}`;
    case 'bytes':
      return `a size from ${allowedValues(key)}, like 512KB or 1GB`;
    case 'duration':
      return `a duration from ${allowedValues(key)}, like 250ms, 10s or 5m`;
    case 'boolean':
    case 'choice':
      return `one of ${allowedValues(key)}`;
    case 'text':
    case 'networks':
    case 'origins':
    case 'host':
      return allowedValues(key);
  }
}

/** The values alone, as a table shows them: `1 to 64`, `accepted, durable`. */
export function allowedValues(key: ConfigKey): string {
  const { kind, allowedText } = variableOf(key);
  const { minimum, maximum } = rangeOf(key);
  switch (kind) {
    case 'integer':
      return `${minimum} to ${maximum}`;
    case 'bytes':
      return `${formatBytes(minimum)} to ${formatBytes(maximum)}`;
    case 'duration':
      return `${formatDuration(minimum)} to ${formatDuration(maximum)}`;
    case 'boolean':
      return 'true, false';
    case 'choice':
    case 'text':
    case 'networks':
    case 'origins':
    case 'host':
      if (allowedText === undefined) throw new Error(`expected allowedText for ${key}, found none`);
      return allowedText;
  }
}
