/**
 * The limits of each kind of work, with what their fields say. One table of used quotas a kind; the
 * threads that serve HTTP share them.
 */

import { parseRate } from '../config/rate.ts';
import type { Config } from '../config/schema.ts';
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

/** Makes the limits that `config` asks for, with memory for their tables. */
export function rateLimitsOf(config: RateConfig): RateLimits {
  const { rateLimit, readRate, writeRate, bulkRate } = config;
  const limits: Partial<Record<RateKind, RateLimit>> = {};
  const own = { read: readRate, write: writeRate, bulk: bulkRate } as const;
  for (const kind of ['read', 'write', 'bulk'] as const) {
    const rate = parseRate(own[kind] ?? rateLimit);
    if (rate === undefined) continue;
    const { quota, windowSeconds } = rate;
    const unit = kind === 'bulk' ? ';qu="event"' : '';
    limits[kind] = {
      kind,
      table: new RateTable(rate, new SharedArrayBuffer(RATE_TABLE_BYTES)),
      policy: `"${kind}";q=${quota};w=${windowSeconds}${unit}`,
    };
  }
  return limits;
}

/** The RateLimit field: what is left, of the client that the table was asked about last. */
export function rateLimitField({ kind, table }: RateLimit, resetSeconds: number): string {
  return `"${kind}";r=${table.remaining};t=${resetSeconds}`;
}
