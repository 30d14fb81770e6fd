/**
 * Turns the environment into a `Config`: reads every variable, checks ranges and relations, and
 * freezes the result. Pure: it reads no environment of its own; `main.ts` hands it in.
 * An empty variable is a fault, not the default: a default is taken only where nothing is set. Of an
 * optional one, empty is the same as not set.
 */
import { Value } from '@sinclair/typebox/value';
import { accessFaults } from './access.ts';
import { allowedPhrase } from './allowed.ts';
import { parseHost } from './host.ts';
import { natsFaults } from './nats.ts';
import { parseNetworks } from './networks.ts';
import { parseOrigins } from './origins.ts';
import {
  formatBytes,
  formatDuration,
  parseBytes,
  parseDuration,
  parseSignedInteger,
} from './quantity.ts';
import { CONFIG_KEYS, type Config, ConfigSchema, isOptional, MASK, variableOf } from './schema.ts';
import { sinkFaults } from './sinks.ts';
import type { VariableKind } from './variable.ts';
import { SHARD_BYTES_MAX, SHARD_BYTES_MIN } from './variables/write-path.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The configuration can't be used. The message is one line: all faults, joined with `; `. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** One sentence for each fault: variable, value and what is allowed. */
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('; '));
    this.faults = faults;
  }
}

/**
 * Checks `env` and returns the frozen configuration; variables it does not know are left alone.
 * @throws {ConfigError} names every faulty variable; relations are checked once all values stand.
 */
export function loadConfig(env: Environment): Config {
  const faults: string[] = [];
  const values: Record<string, string | number | boolean> = {};
  for (const key of CONFIG_KEYS) {
    const variable = variableOf(key);
    const text = env[variable.env] ?? variable.defaultText;
    if (text === '' && isOptional(key)) continue;
    const value = parse(variable.kind, text);
    if (value !== undefined && Value.Check(ConfigSchema.properties[key], value)) {
      values[key] = value;
    } else {
      const shown = variable.secret === true ? MASK : quote(text);
      faults.push(`${variable.env}=${shown} must be ${allowedPhrase(key)}`);
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);

  const config = Object.freeze(Value.Decode(ConfigSchema, values));
  const conflicts = relationFaults(config);
  if (conflicts.length > 0) throw new ConfigError(conflicts);
  return config;
}

function parse(kind: VariableKind, text: string): string | number | boolean | undefined {
  switch (kind) {
    case 'integer':
      return parseSignedInteger(text);
    case 'bytes':
      return parseBytes(text);
    case 'duration':
      return parseDuration(text);
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'networks':
      return parseNetworks(text) === undefined ? undefined : text;
    case 'origins':
      return parseOrigins(text) === undefined ? undefined : text;
    case 'host':
      return parseHost(text);
    case 'choice':
    case 'text':
      return text;
  }
}

function relationFaults(config: Config): string[] {
  const faults: string[] = [];
  if (config.workers > config.shards) {
    faults.push(
      `WORKERS=${config.workers} must be at most SHARDS=${config.shards}, since each worker owns at least one shard`,
    );
  }
  const shardBytes = config.storeBytesMax / config.shards;
  if (shardBytes < SHARD_BYTES_MIN || shardBytes > SHARD_BYTES_MAX) {
    faults.push(
      `MAX_MEMORY_USAGE=${formatBytes(config.storeBytesMax)} must be from ${formatBytes(SHARD_BYTES_MIN * config.shards)} to ${formatBytes(SHARD_BYTES_MAX * config.shards)} with SHARDS=${config.shards}, since a shard takes 4KB to 2GB`,
    );
  }
  if (config.headersTimeoutMs > config.requestTimeoutMs) {
    faults.push(
      `HEADERS_TIMEOUT=${formatDuration(config.headersTimeoutMs)} must be at most REQUEST_TIMEOUT=${formatDuration(config.requestTimeoutMs)}, since headers are a part of the request`,
    );
  }
  if ((config.tlsCertPath === undefined) !== (config.tlsKeyPath === undefined)) {
    faults.push('TLS_CERT and TLS_KEY go together: set both, or neither');
  }
  if (config.drainDelayMs >= config.shutdownTimeoutMs) {
    faults.push(
      `DRAIN_DELAY=${formatDuration(config.drainDelayMs)} must be less than SHUTDOWN_TIMEOUT=${formatDuration(config.shutdownTimeoutMs)}, since it is a part of it`,
    );
  }
  faults.push(...natsFaults(config));
  return [...faults, ...accessFaults(config), ...sinkFaults(config)];
}

/** Quotes a value so that it stays on one line and can't flood it. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
