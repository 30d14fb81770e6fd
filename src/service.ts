/**
 * The life of a service: start, replay, serve, drain, stop. What it is made of is put together in
 * assembly.ts. Knows nothing of the process (environment, signals, exit codes: that is main.ts) and
 * can be started many times in one process. Main thread. (Over 300 lines: one life, phase after phase.)
 */
import assert from 'node:assert/strict';
import type { Logger } from 'pino';
import { type Assembly, assemble, type ServiceOptions } from './assembly.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { ChangeFeed } from './changes/change-feed.ts';
import type { Checkpointer } from './checkpoint/checkpointer.ts';
import type { Cleanup } from './cleanup/cleanup.ts';
import { isAuthenticated } from './config/access.ts';
import { parseNetworks } from './config/networks.ts';
import { parseOrigins } from './config/origins.ts';
import type { Config } from './config/schema.ts';
import { shownConfig } from './config/shown.ts';
import { afterMs, within } from './deadline.ts';
import { FolderClaim } from './folder/folder-claim.ts';
import { checksOf, stallText } from './health/checks.ts';
import { healthMetrics } from './health/health-metrics.ts';
import { historyChecks } from './history/history-health.ts';
import type { AppDeps } from './http/app.ts';
import type { LoadedTls } from './http/connection/tls-files.ts';
import { HttpSide } from './http/http-side.ts';
import type { HealthCheck, Lifecycle, Phase } from './lifecycle.ts';
import { rateLimitsOf } from './limits/rate-limits.ts';
import { DataDir } from './log/data-dir.ts';
import type { MetricsRegistry } from './metrics/registry.ts';
import { ThreadProfiler } from './profiles/thread-profiler.ts';
import { sinkChecks } from './sinks/sink-health.ts';
import type { Sinks } from './sinks/sinks.ts';
import type { Tracing } from './tracing/tracing.ts';
import type { WritePath } from './write-path/write-path.ts';

/** What is left of SHUTDOWN_TIMEOUT for threads and files after the connections had their turn. */
const CLOSING_SHARE = 0.2;

export class Service implements Lifecycle {
  readonly path: WritePath;
  readonly checkpoints: Checkpointer;
  readonly changes: ChangeFeed;
  readonly sinks: Sinks;
  readonly cleanup: Cleanup;
  readonly #options: ServiceOptions;
  readonly #dataDir: DataDir;
  readonly #claim: FolderClaim;
  readonly #parts: Assembly;
  readonly #failed = Promise.withResolvers<string>();
  /** None while `start` loads it, and for good where tracing is off. */
  #tracing: Tracing | undefined;
  readonly #profiler = new ThreadProfiler(() => this.path.threads);
  #phase: Phase = 'starting';
  #wasReady = false;
  #logAvailable = true;
  #diskHasRoom = true;
  #folderIsWhole = true;
  #replayedPercent: number | undefined;
  #stopping: Promise<boolean> | undefined;
  #isBroken = false;
  /** None without authentication. */
  #authenticator: Authenticator | undefined;
  /** None while `start` loads it, and for good if that fails. */
  #http: HttpSide | undefined;

  private constructor(options: ServiceOptions, dataDir: DataDir, claim: FolderClaim) {
    this.#options = options;
    this.#dataDir = dataDir;
    this.#claim = claim;
    const parts = assemble(options, dataDir, {
      onRemade: async () => {
        await claim.acquire(dataDir.root);
        this.sinks.remake();
      },
      onStorage: (available) => {
        this.#logAvailable = available;
        this.#tellIntake();
      },
      onWhole: (isWhole) => {
        this.#folderIsWhole = isWhole;
        this.#tellIntake();
      },
      onRoom: (enough) => {
        this.#diskHasRoom = enough;
        this.#tellIntake();
      },
      onReplayed: (percent) => {
        this.#replayedPercent = percent;
      },
      onFatal: (reason) => this.#fail(reason),
      isLogExcused: () => !this.#logAvailable || !this.#folderIsWhole,
    });
    this.#parts = parts;
    if (parts.metrics !== undefined) healthMetrics(parts.metrics, this);
    this.path = parts.path;
    this.checkpoints = parts.checkpoints;
    this.changes = parts.changes;
    this.sinks = parts.sinks;
    this.cleanup = parts.cleanup;
  }

  /**
   * Takes hold of the data folder, starts the threads and listens. The service answers from then
   * on, and is `ready` once the log is replayed. Rejects with DataDirError, or with what `listen`
   * says, or ConfigError of a key that is none; leaves nothing running then.
   */
  static async start(options: ServiceOptions): Promise<Service> {
    const dataDir = DataDir.open(options.config.dataDir);
    const claim = new FolderClaim();
    let service: Service;
    try {
      await claim.acquire(dataDir.root);
      service = new Service(options, dataDir, claim);
    } catch (error) {
      claim.release();
      dataDir.close();
      throw error;
    }
    try {
      const { host, port, adminHost, adminPort } = options.config;
      const loaded = Promise.withResolvers<void>();
      service.path.start(loaded.promise);
      const load = HttpSide.load(() => service.#httpDeps(), adminPort !== undefined);
      service.#http = await load.finally(() => loaded.resolve());
      await service.#http.listen({ host, port }, { host: adminHost, port: adminPort ?? 0 });
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  async #httpDeps(): Promise<AppDeps> {
    // Not at the start of the process: what batches are made of takes its time to load.
    const { BatchImports } = await import('./bulk/batch-imports.ts');
    this.#tracing = await this.#options.tracing?.(this);
    const { config, logger } = this.#options;
    this.#authenticator = await openedAuthenticator(config, logger);
    const { store, intake, bulk, known, receipts, events, watermark } = this.path;
    const { history } = this.#parts;
    const { stockMin, batchBytesMax, trustProxy, corsOrigins } = config;
    const batches = new BatchImports({ intake: bulk, known, receipts, stockMin, batchBytesMax });
    const { createMetering } = await import('./http/metering/metering.ts');
    return {
      intake,
      batches,
      outcomes: events,
      watermark,
      products: store,
      catalogue: store,
      changes: this.changes,
      profiles: this.#profiler,
      traces: this.#tracing,
      history,
      deadLetters: this.#parts.deadLetters,
      lifecycle: this,
      limits: config,
      rateLimits: rateLimitsOf(config),
      trustedProxies: trustProxy === undefined ? undefined : parseNetworks(trustProxy),
      tls: await loadedTls(config),
      corsOrigins: corsOrigins === undefined ? undefined : parseOrigins(corsOrigins),
      ackDefault: config.ackDefault,
      identities: this.#authenticator,
      logger,
      configuration: shownConfig(config),
      metering: this.metrics && createMetering(this.metrics, batches),
    };
  }

  /**
   * Reads TLS_CERT and TLS_KEY again, for the connections to come. Resolves to until when the new certificate
   * is valid, or to nothing where there is no TLS; rejects, with one line, and keeps the old one if they can't be used.
   */
  async reloadTls(): Promise<string | undefined> {
    const loaded = await loadedTls(this.#options.config);
    if (loaded !== undefined) this.http.useTls(loaded);
    return loaded?.validTo;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get wasReady(): boolean {
    return this.#wasReady;
  }

  get storageAvailable(): boolean {
    const isWritable = this.#logAvailable && this.#diskHasRoom && this.#folderIsWhole;
    return isWritable && !this.#isBroken;
  }

  get replayedPercent(): number | undefined {
    return this.#replayedPercent;
  }

  get stalled(): string | undefined {
    return stallText(this.#parts.progressWatch.stalls);
  }

  checks(): HealthCheck[] {
    const own = checksOf({
      phase: this.#phase,
      wasReady: this.#wasReady,
      replayedPercent: this.#replayedPercent,
      isLogAvailable: this.#logAvailable && !this.#isBroken,
      diskHasRoom: this.#diskHasRoom,
      isFolderWhole: this.#folderIsWhole,
      stalls: this.#parts.progressWatch.stalls,
      products: this.path.store.size,
      productsMax: this.#parts.productsMax,
    });
    const { seq } = this.path.watermark;
    const history = historyChecks(this.#parts.history, seq, Date.now());
    return [...own, ...history, ...sinkChecks(this.sinks.all, seq)];
  }

  get http(): HttpSide {
    assert.ok(this.#http !== undefined, 'a service is given away when it listens');
    return this.#http;
  }

  /** What `/metrics` tells; none with METRICS=false. */
  get metrics(): MetricsRegistry | undefined {
    return this.#parts.metrics;
  }

  get port(): number {
    return this.http.port;
  }

  /** The one of administration, if that is another. */
  get adminPort(): number | undefined {
    return this.http.adminPort;
  }

  /** Resolves when the log is replayed and writes are taken; rejects, with one line, if refused. */
  async ready(): Promise<void> {
    const failed = this.#failed.promise.then((reason) => {
      throw new Error(reason);
    });
    await Promise.race([this.path.ready, failed]);
    if (this.#phase !== 'starting') return;
    this.#phase = 'ready';
    this.#wasReady = true;
    this.changes.open();
    this.#parts.history?.start();
    this.path.open();
    this.checkpoints.start(this.path.log.replayedFrom, this.path.log.isConverted);
    this.#parts.folderKeeper.start();
    this.sinks.start();
    this.cleanup.start();
  }

  /** Calls `onApplied` once the event `seq` is applied. */
  whenApplied(seq: number, onApplied: () => void): void {
    this.path.watermark.whenApplied(seq, onApplied);
  }

  /** Resolves, with one line, when the service can't go on; it never does otherwise. */
  get failed(): Promise<string> {
    return this.#failed.promise;
  }

  /**
   * Stops: readiness red, (DRAIN_DELAY), no more intake, answers what is in flight, drains the
   * rings, flushes, closes. Resolves to whether all that was acknowledged or claimed is on disk;
   * always resolves, within SHUTDOWN_TIMEOUT. Called again, it returns the same promise.
   */
  stop(): Promise<boolean> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Once it has stopped: claimed events that could not be stored, so that their outcome is unknown. */
  get abandoned(): number {
    return this.path.abandoned;
  }

  async #stop(): Promise<boolean> {
    const { config, logger } = this.#options;
    const { path, checkpoints, changes, diskWatch, clockWatch, progressWatch } = this.#parts;
    const http = this.#http;
    const deadlineMs = performance.now() + config.shutdownTimeoutMs;
    const leftMs = (share: number) =>
      Math.max(1, deadlineMs - performance.now() - config.shutdownTimeoutMs * share);

    if (this.#phase === 'ready' && config.drainDelayMs > 0) {
      this.#phase = 'draining';
      await afterMs(config.drainDelayMs);
    }
    // A replay that the appliers can't follow would block the log thread for ever.
    if (this.#phase === 'starting' && this.#isBroken) await path.log.terminate();
    this.#phase = 'stopping';
    diskWatch.stop();
    await this.#parts.folderKeeper.stop(leftMs(CLOSING_SHARE));
    clockWatch.stop();
    this.#profiler.endEarly();
    this.#parts.loopDelay?.stop();
    void this.cleanup.stop();
    await checkpoints.stop();
    http?.beginDrain();
    changes.closeHeld();
    const settled = path.drain();
    // In this order: every claimed slot is settled, then nothing more comes, then the log ends.
    const inTime = await within(leftMs(CLOSING_SHARE), settled);
    const clean = path.finish().then((isClean) => {
      // Nothing more is applied; streams end once they have sent the rest.
      changes.close();
      return isClean;
    });
    const haveEnded = await http?.endConnections(leftMs(CLOSING_SHARE / 2));
    if (haveEnded === false) logger.warn('stop: connections left open are closed');
    const isClean = (await within(leftMs(CLOSING_SHARE / 2), clean)) ?? false;
    // What it can't write in this time it writes after the next start.
    await this.#parts.history?.stop(leftMs(CLOSING_SHARE / 3));
    // It spares the next start the replay; nothing is lost without it.
    const drained = isClean ? this.sinks.drain() : undefined;
    if (isClean && this.#wasReady) {
      await within(leftMs(CLOSING_SHARE / 4), checkpoints.runRound(false));
      await checkpoints.cancel();
      const events = checkpoints.unsavedEvents;
      if (events > 0) logger.info({ events }, `stop: the next start replays ${events} events`);
    }
    // The last to be waited for: what they don't write now, they do after the next start.
    if (drained !== undefined) await within(leftMs(CLOSING_SHARE / 4), drained);
    const lost = await within(leftMs(0), this.#parts.folderKeeper.missingAtEnd());
    const missing = typeof lost === 'string' ? lost : undefined;
    if (missing !== undefined) {
      logger.error({ missing }, 'data folder: files were deleted while the service stopped');
    }

    await this.sinks.terminate();
    await this.#parts.letterDesk.terminate();
    await path.terminate();
    progressWatch.stop();
    await http?.close();
    this.#authenticator?.close();
    // What was answered last is in it.
    await within(leftMs(0), this.#tracing?.shutdown() ?? Promise.resolve());
    this.#claim.release();
    this.#dataDir.close();
    this.#phase = 'stopped';
    return isClean && inTime !== undefined && missing === undefined;
  }

  #fail(reason: string): void {
    this.#isBroken = true;
    this.#tellIntake();
    this.#failed.resolve(reason);
  }

  #tellIntake(): void {
    this.path.storageAvailable = this.storageAvailable;
  }
}

/** Loads it only where it is wanted. */
async function openedAuthenticator(
  config: Config,
  logger: Logger,
): Promise<Authenticator | undefined> {
  if (!isAuthenticated(config)) return undefined;
  const { openAuthenticator } = await import('./auth/open-authenticator.ts');
  return openAuthenticator(config, logger);
}

/** Loaded only where there is TLS. */
async function loadedTls({ tlsCertPath, tlsKeyPath }: Config): Promise<LoadedTls | undefined> {
  if (tlsCertPath === undefined || tlsKeyPath === undefined) return undefined;
  const { loadTls } = await import('./http/connection/tls-files.ts');
  return loadTls({ certPath: tlsCertPath, keyPath: tlsKeyPath });
}
