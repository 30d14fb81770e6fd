/**
 * Which databases SINKS names, and what the variables of sinks must be to each other. Pure, any thread.
 *
 *   SINKS=sqlite:/var/lib/shop/products.db,postgres://user:password@db/shop?schema=feed
 *
 * Separated by commas or blanks; in a password either is written as URLs have it (%2C, %20).
 */
import { Buffer } from 'node:buffer';
import { formatDuration } from './quantity.ts';
import type { Config } from './schema.ts';

const SCHEMA_BYTES_MAX = 63;

export type SinkTarget =
  | { readonly kind: 'sqlite'; readonly path: string }
  /** `url` without the parameter `schema`. */
  | { readonly kind: 'postgres'; readonly url: string; readonly schema: string }
  /** `url` without the parameter `prefix`. */
  | { readonly kind: 'redis'; readonly url: string; readonly prefix: string };

/** A database, and what it is called in logs, metrics and dead letters: its kind, numbered from the second on. */
export interface NamedSink {
  readonly name: string;
  readonly target: SinkTarget;
}

/** The sinks that a checked SINKS names. */
export function sinksOf(config: Config): readonly NamedSink[] {
  const sinks = parseSinks(config.sinks ?? '');
  return typeof sinks === 'string' ? [] : sinks;
}

/** The sinks that `text` names, or what is wrong with it, without a secret. */
export function parseSinks(text: string): readonly NamedSink[] | string {
  const found: NamedSink[] = [];
  const texts = text.split(/[\s,]+/).filter((part) => part !== '');
  if (new Set(texts).size < texts.length) return 'names one twice';
  for (const [index, part] of texts.entries()) {
    const target = targetOf(part);
    if (typeof target === 'string') return `${target} (number ${index + 1} of ${texts.length})`;
    if (found.some((other) => isNested(other.target, target))) {
      return `names two prefixes in one Redis of which one begins with the other's (number ${index + 1} of ${texts.length})`;
    }
    const before = found.filter((each) => each.target.kind === target.kind).length;
    const name = before === 0 ? target.kind : `${target.kind}-${before + 1}`;
    found.push({ name, target });
  }
  return found;
}

/** Whether the keys of one look like keys of the other: a comparison would take them for products that are gone. */
function isNested(one: SinkTarget, other: SinkTarget): boolean {
  if (one.kind !== 'redis' || other.kind !== 'redis') return false;
  if (databaseOf(one.url) !== databaseOf(other.url)) return false;
  return one.prefix.startsWith(other.prefix) || other.prefix.startsWith(one.prefix);
}

/** Host, port and number of a Redis, whoever asks it. */
function databaseOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port || '6379'}/${pathname.slice(1) || '0'}`;
}

/** One sentence for each relation that doesn't hold. */
export function sinkFaults(config: Config): string[] {
  const faults: string[] = [];
  const sinks = parseSinks(config.sinks ?? '');
  if (typeof sinks === 'string') faults.push(`SINKS ${sinks}`);
  const { retryInitialMs, retryMaxMs } = config;
  if (retryInitialMs > retryMaxMs) {
    faults.push(
      `INITIAL_RETRY_DELAY=${formatDuration(retryInitialMs)} must be at most MAX_RETRY_DELAY=${formatDuration(retryMaxMs)}`,
    );
  }
  if (config.historyIn === 'postgres' && typeof sinks !== 'string') {
    faults.push(...historyFaults(config));
  }
  return faults;
}

/** Of the history in a database: its writer and one reader at least have a connection beside the sink's. */
const HISTORY_CONNECTIONS_MIN = 3;

function historyFaults(config: Config): string[] {
  if (historyDatabase(config) === undefined) {
    return [
      'HISTORY_IN=postgres needs a postgres:// in SINKS, in whose database the history is kept',
    ];
  }
  if (config.sinkConnectionsMax >= HISTORY_CONNECTIONS_MIN) return [];
  return [
    `MAX_CONNECTIONS=${config.sinkConnectionsMax} must be at least ${HISTORY_CONNECTIONS_MIN} with HISTORY_IN=postgres`,
  ];
}

/** The database that HISTORY_IN means; `undefined` = the history is kept in a file. */
export function historyDatabase(
  config: Config,
): Extract<SinkTarget, { readonly kind: 'postgres' }> | undefined {
  if (config.historyIn !== 'postgres') return undefined;
  for (const { target } of sinksOf(config)) {
    if (target.kind === 'postgres') return target;
  }
  return undefined;
}

function targetOf(part: string): SinkTarget | string {
  const [, scheme = '', rest = ''] = /^([a-z]+):(.*)$/.exec(part) ?? [];
  switch (scheme) {
    case 'sqlite':
      if (rest === '' || rest.startsWith(':')) return 'has a sqlite: without the path of a file';
      return { kind: 'sqlite', path: rest };
    case 'postgres':
    case 'postgresql':
      return postgresTarget(part);
    case 'redis':
    case 'rediss':
      return redisTarget(part);
    default:
      return 'has an entry that is none of sqlite:PATH, postgres://…, redis://…';
  }
}

function postgresTarget(part: string): SinkTarget | string {
  if (!URL.canParse(part)) return 'has a postgres: that is no URL';
  const url = new URL(part);
  const schema = url.searchParams.get('schema') ?? 'public';
  // PostgreSQL cuts longer names off.
  if (schema === '' || Buffer.byteLength(schema) > SCHEMA_BYTES_MAX) {
    return `has a schema that is empty or longer than ${SCHEMA_BYTES_MAX} bytes`;
  }
  url.searchParams.delete('schema');
  return { kind: 'postgres', url: url.href, schema };
}

function redisTarget(part: string): SinkTarget | string {
  if (!URL.canParse(part)) return 'has a redis: that is no URL';
  const url = new URL(part);
  const prefix = url.searchParams.get('prefix') ?? 'product:';
  if (prefix === '')
    return 'has an empty prefix: the service keeps keys of its own beside the products';
  url.searchParams.delete('prefix');
  return { kind: 'redis', url: url.href, prefix };
}
