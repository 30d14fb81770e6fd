/**
 * The limits of each kind of work, with what their fields say. One table of used quotas a kind; the
 * threads that serve HTTP share them.
 */

import { parseRate } from '../config/rate.ts';
import type { Config } from '../config/schema.ts';
import { type ClientKeySecret, newClientKeySecret } from './client-key.ts';
import { RATE_TABLE_BYTES, RateTable } from './rate-table.ts';

/** `bulk` counts events of batches, the others requests. */
export type RateKind = 'read' | 'write' | 'bulk';

export interface RateLimit {
  readonly kind: RateKind;
  readonly table: RateTable;
  /** The RateLimit-Policy field (draft-ietf-httpapi-ratelimit-headers-11). */
  readonly policy: string;
}

export type RateLimits = Readonly<Partial<Record<RateKind, RateLimit>>>;

type RateConfig = Pick<Config, 'rateLimit' | 'readRate' | 'writeRate' | 'bulkRate'>;

const KINDS = ['read', 'write', 'bulk'] as const;

/** What the threads that serve HTTP share of the limits; survives structured cloning. */
export interface RateMemory {
  readonly secret: ClientKeySecret;
  /** A table for each kind that is limited. */
  readonly tables: Readonly<Partial<Record<RateKind, SharedArrayBuffer>>>;
}

/** Makes the memory for the limits that `config` asks for. */
export function rateMemoryOf(config: RateConfig): RateMemory {
  const tables: Partial<Record<RateKind, SharedArrayBuffer>> = {};
  for (const kind of KINDS) {
    if (rateOf(config, kind) !== undefined) tables[kind] = new SharedArrayBuffer(RATE_TABLE_BYTES);
  }
  return { secret: newClientKeySecret(), tables };
}

/** The limits that `config` asks for, with their tables in `memory`, which was made for it. */
export function rateLimitsOf(config: RateConfig, memory = rateMemoryOf(config)): RateLimits {
  const limits: Partial<Record<RateKind, RateLimit>> = {};
  for (const kind of KINDS) {
    const rate = rateOf(config, kind);
    const table = memory.tables[kind];
    if (rate === undefined || table === undefined) continue;
    const { quota, windowSeconds } = rate;
    const unit = kind === 'bulk' ? ';qu="event"' : '';
    limits[kind] = {
      kind,
      table: new RateTable(rate, table),
      policy: `"${kind}";q=${quota};w=${windowSeconds}${unit}`,
    };
  }
  return limits;
}

function rateOf(config: RateConfig, kind: RateKind): ReturnType<typeof parseRate> {
  const { rateLimit, readRate, writeRate, bulkRate } = config;
  const own = { read: readRate, write: writeRate, bulk: bulkRate } as const;
  return parseRate(own[kind] ?? rateLimit);
}

/** The RateLimit field: what is left, of the client that the table was asked about last. */
export function rateLimitField({ kind, table }: RateLimit, resetSeconds: number): string {
  return `"${kind}";r=${table.remaining};t=${resetSeconds}`;
}
