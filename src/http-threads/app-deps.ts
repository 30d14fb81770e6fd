/** What the app of a thread stands on, the same in each: its own way into the log, and seams. Any thread that serves HTTP. */
import type { Logger } from 'pino';
import type { Authenticator } from '../auth/authenticator.ts';
import { isAuthenticated } from '../config/access.ts';
import { parseNetworks } from '../config/networks.ts';
import { parseOrigins } from '../config/origins.ts';
import type { Config } from '../config/schema.ts';
import { shownConfig } from '../config/shown.ts';
import type { AppDeps } from '../http/app.ts';
import type { LoadedTls } from '../http/connection/tls-files.ts';
import type { Metering } from '../http/metering/metering.ts';
import type { Batches } from '../http/seams/batches.ts';
import { type RateMemory, rateLimitsOf } from '../limits/rate-limits.ts';
import type { Producer } from '../write-path/producer.ts';

/** What differs from thread to thread, or is made only once. */
export interface AppParts
  extends Pick<
    AppDeps,
    | 'outcomes'
    | 'changes'
    | 'running'
    | 'uploads'
    | 'uploadPlaces'
    | 'profiles'
    | 'traces'
    | 'history'
    | 'deadLetters'
    | 'lifecycle'
    | 'identities'
    | 'counts'
    | 'placesName'
  > {
  readonly config: Config;
  readonly logger: Logger;
  readonly producer: Pick<
    Producer,
    'intake' | 'bulk' | 'known' | 'receipts' | 'store' | 'watermark'
  >;
  readonly rates: RateMemory;
  /** `undefined` without METRICS. */
  readonly metering: (batches: Batches) => Promise<Metering | undefined>;
}

export async function appDeps(parts: AppParts): Promise<AppDeps> {
  // Not at the start of the process: what batches are made of takes its time to load.
  const { BatchImports } = await import('../bulk/batch-imports.ts');
  const { config, producer, rates, metering, ...given } = parts;
  const { intake, bulk, known, receipts, store, watermark } = producer;
  const { stockMin, batchBytesMax, trustProxy, corsOrigins, ackDefault } = config;
  const batches = new BatchImports({ intake: bulk, known, receipts, stockMin, batchBytesMax });
  return {
    ...given,
    intake,
    batches,
    watermark,
    products: store,
    catalogue: store,
    limits: config,
    rateLimits: rateLimitsOf(config, rates),
    rateSecret: rates.secret,
    trustedProxies: trustProxy === undefined ? undefined : parseNetworks(trustProxy),
    tls: await loadedTls(config),
    corsOrigins: corsOrigins === undefined ? undefined : parseOrigins(corsOrigins),
    ackDefault,
    configuration: shownConfig(config),
    metering: await metering(batches),
  };
}

/** Loaded only where there is TLS. */
export async function loadedTls({
  tlsCertPath,
  tlsKeyPath,
}: Config): Promise<LoadedTls | undefined> {
  if (tlsCertPath === undefined || tlsKeyPath === undefined) return undefined;
  const { loadTls } = await import('../http/connection/tls-files.ts');
  return loadTls({ certPath: tlsCertPath, keyPath: tlsKeyPath });
}

/** Loads it only where it is wanted; close it at the end. */
export async function openedAuthenticator(
  config: Config,
  logger: Logger,
): Promise<Authenticator | undefined> {
  if (!isAuthenticated(config)) return undefined;
  const { openAuthenticator } = await import('../auth/open-authenticator.ts');
  return openAuthenticator(config, logger);
}
