/**
 * The life of a service: start, replay, serve, drain, stop. What it is made of is put together in
 * assembly.ts, what it makes of HTTP in http-threads/service-http.ts. Knows nothing of the process (environment,
 * signals, exit codes: that is main.ts) and can be started many times in one process. Main thread.
 * (Over 300 lines: one life, phase after phase.)
 */
import { type Assembly, assemble, type ServiceOptions } from './assembly.ts';
import type { ChangeFeed } from './changes/change-feed.ts';
import type { Checkpointer } from './checkpoint/checkpointer.ts';
import type { Cleanup } from './cleanup/cleanup.ts';
import { afterMs, within } from './deadline.ts';
import { FolderClaim } from './folder/folder-claim.ts';
import { checksOf, stallText } from './health/checks.ts';
import { healthMetrics } from './health/health-metrics.ts';
import { historyChecks } from './history/history-health.ts';
import { ServiceHttp } from './http-threads/service-http.ts';
import type { HealthCheck, Lifecycle, Phase } from './lifecycle.ts';
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
  readonly http: ServiceHttp;
  readonly #options: ServiceOptions;
  readonly #dataDir: DataDir;
  readonly #claim: FolderClaim;
  readonly #parts: Assembly;
  readonly #failed = Promise.withResolvers<string>();
  readonly #overtaken = Promise.withResolvers<string>();
  /** None while `start` loads it, and for good where tracing is off. */
  #tracing: Tracing | undefined;
  readonly #profiler = new ThreadProfiler(() => {
    const http = this.http.further?.threads.map(({ worker }) => ({ name: 'http', worker }));
    return [...this.path.threads, ...(http ?? [])];
  });
  #phase: Phase = 'starting';
  #wasReady = false;
  #logAvailable = true;
  #diskHasRoom = true;
  #folderIsWhole = true;
  #replayedPercent: number | undefined;
  #stopping: Promise<boolean> | undefined;
  #isBroken = false;
  /** Claimed events of the other threads that could not be stored. */
  #abandonedByThreads = 0;

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
        this.http.tellState();
      },
      onOvertaken: (reason) => this.#overtaken.resolve(reason),
      onStalls: () => this.http.tellStalls(this.#parts.progressWatch.stalls),
      httpThreads: () => this.http.further,
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
    const { config, logger, threads, threadTracing, tracing } = options;
    this.http = new ServiceHttp({
      ...parts,
      config,
      logger,
      dataDir,
      profiles: this.#profiler,
      lifecycle: this,
      startTraces: async () => {
        this.#tracing = await tracing?.(this);
        return this.#tracing;
      },
      threadTracing,
      entry: threads?.http,
      onFatal: (reason) => this.#fail(reason),
    });
    this.http.tellState();
  }

  /**
   * Takes hold of the data folder, starts the threads and listens. The service answers from then
   * on, and is `ready` once the log is replayed. Rejects with DataDirError, or with what `listen`
   * says, or ConfigError of a key that is none; leaves nothing running then.
   */
  static async start(options: ServiceOptions): Promise<Service> {
    const dataDir = DataDir.open(options.config.dataDir, options.rootLock);
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
      const loaded = Promise.withResolvers<void>();
      service.path.start(loaded.promise);
      await service.http.load().finally(() => loaded.resolve());
      await service.http.listen();
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
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

  get isReader(): boolean {
    return this.#options.cluster?.isReader ?? false;
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
      isReader: this.isReader,
      isLogAvailable: this.#logAvailable && !this.#isBroken,
      diskHasRoom: this.#diskHasRoom,
      isFolderWhole: this.#folderIsWhole,
      stalls: this.#parts.progressWatch.stalls,
      hasLoops: this.http.further !== undefined,
      products: this.path.store.size,
      productsMax: this.#parts.productsMax,
    });
    const { seq } = this.path.watermark;
    const history = historyChecks(this.#parts.history, seq, Date.now());
    return [...own, ...history, ...sinkChecks(this.sinks.all, seq)];
  }

  /** What `/metrics` shows; none with METRICS=false. */
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
    await Promise.race([Promise.all([this.path.ready, this.http.listening]), failed]);
    if (this.#phase !== 'starting') return;
    // Nothing is taken in before all are open, so this is where all begin.
    const replayedSeq = this.path.progress.loadNextSeq() - 1;
    await this.http.open(replayedSeq);
    if (this.phase !== 'starting') return;
    // Files of theirs may be damaged: that is known before writes are taken.
    this.sinks.start(replayedSeq + 1);
    // It may follow into the database of a sink.
    this.#parts.history?.start();
    this.#wasReady = true;
    this.#phase = 'ready';
    this.changes.open(replayedSeq);
    this.path.open();
    // What other threads take in from now on counts as new.
    this.http.tellState();
    this.checkpoints.start(this.path.log.replayedFrom, this.path.log.isConverted);
    this.#parts.folderKeeper.start();
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

  /** Resolves, with one line, when it has to stop and start anew, with the data of another instance. */
  get overtaken(): Promise<string> {
    return this.#overtaken.promise;
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
    return this.path.abandoned + this.#abandonedByThreads;
  }

  async #stop(): Promise<boolean> {
    const { config, logger } = this.#options;
    const { path, checkpoints, changes, diskWatch, clockWatch, progressWatch } = this.#parts;
    const { http } = this;
    const deadlineMs = performance.now() + config.shutdownTimeoutMs;
    const leftMs = (share: number) =>
      Math.max(1, deadlineMs - performance.now() - config.shutdownTimeoutMs * share);

    if (this.#phase === 'ready' && config.drainDelayMs > 0) {
      this.#enter('draining');
      await afterMs(config.drainDelayMs);
    }
    // A replay that the appliers can't follow would block the log thread for ever.
    if (this.#phase === 'starting' && this.#isBroken) await path.log.terminate();
    this.#enter('stopping');
    diskWatch.stop();
    await this.#parts.folderKeeper.stop(leftMs(CLOSING_SHARE));
    clockWatch.stop();
    this.#profiler.endEarly();
    this.#parts.loopDelay?.stop();
    void this.cleanup.stop();
    await checkpoints.stop();
    await http.beginDrain(leftMs(CLOSING_SHARE));
    changes.closeHeld();
    const settled = Promise.all([path.drain(), http.drained()]);
    // In this order: every claimed slot is settled, then nothing more comes, then the log ends.
    const inTime = await within(leftMs(CLOSING_SHARE), settled);
    const clean = path.finish().then(async (isClean) => {
      // Nothing more is applied; streams end once they have sent the rest.
      changes.close();
      http.closeChanges();
      if (!isClean) this.#abandonedByThreads = await http.failAll();
      return isClean;
    });
    if (!(await http.endConnections(leftMs(CLOSING_SHARE / 2))))
      logger.warn('stop: connections left open are closed');
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
    await http.close(leftMs(0) / 2);
    // What was answered last is in it.
    await within(leftMs(0), this.#tracing?.shutdown() ?? Promise.resolve());
    this.#claim.release();
    this.#dataDir.close();
    this.#enter('stopped');
    return isClean && inTime !== undefined && missing === undefined;
  }

  #fail(reason: string): void {
    this.#isBroken = true;
    this.#tellIntake();
    this.#failed.resolve(reason);
  }

  #tellIntake(): void {
    const available = this.storageAvailable;
    this.path.storageAvailable = available;
    this.http.tellStorage();
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.http.tellState();
  }
}
