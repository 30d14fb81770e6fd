/**
 * Assembles the service and runs its life: memory, data folder, log thread, appliers, HTTP; start,
 * replay, serve, drain, stop. Knows nothing of the process (environment, signals, exit codes: that
 * is main.ts) and can be started many times in one process. Main thread.
 * (Over 300 lines: the order of start and stop has to be read as a whole.)
 */
import assert from 'node:assert/strict';
import type { Logger } from 'pino';
import { AppliedWatermark } from './apply/applied-watermark.ts';
import { ApplierPool } from './apply/applier-pool.ts';
import { ChangeFeed } from './changes/change-feed.ts';
import { changeHistory } from './changes/change-reader.ts';
import { ChangeTeller } from './changes/change-teller.ts';
import { LogHistory } from './changes/log-history.ts';
import { RingHistory } from './changes/ring-history.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import { parseRetention } from './checkpoint/retention.ts';
import type { Config } from './config/schema.ts';
import { afterMs, within } from './deadline.ts';
import { DedupeWindow } from './dedupe/dedupe-window.ts';
import type { AppDeps } from './http/app.ts';
import { HttpSide } from './http/http-side.ts';
import { BulkIntake } from './intake/bulk-intake.ts';
import { RingIntake } from './intake/ring-intake.ts';
import { SlotAdmission } from './intake/slot-admission.ts';
import type { Lifecycle, Phase } from './lifecycle.ts';
import { DataDir } from './log/data-dir.ts';
import { DiskWatch } from './log/disk-watch.ts';
import { LogSupervisor } from './log/log-supervisor.ts';
import { LogProgress } from './log/progress.ts';
import { EventOutcomes } from './outcome/event-outcomes.ts';
import { OutcomeReader, OutcomeWindow } from './outcome/outcome-window.ts';
import { CommitRing } from './ring/commit-ring.ts';
import { IntakeRing } from './ring/intake-ring.ts';
import { Admission } from './store/admission.ts';
import { Shard } from './store/shard.ts';
import { SharedProductStore } from './store/shared-product-store.ts';
import { planStore } from './store/sizing.ts';
import { createSharedMemory } from './threads/shared-memory.ts';

export interface ServiceOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Where the ring cursors start (an Int32); tests put it just below the 32-bit wrap. */
  readonly firstCursor?: number;
  /** Modules of the threads, where a test wants others than those in workers/. */
  readonly threads?: { readonly applier?: URL; readonly log?: URL };
}

const APPLIER_ENTRY = new URL('../workers/applier.ts', import.meta.url);
const LOG_ENTRY = new URL('../workers/log.ts', import.meta.url);

/** What is left of SHUTDOWN_TIMEOUT for threads and files after the connections had their turn. */
const CLOSING_SHARE = 0.2;

export class Service implements Lifecycle {
  readonly store: SharedProductStore;
  readonly outcomes: OutcomeReader;
  readonly appliers: ApplierPool;
  readonly log: LogSupervisor;
  readonly checkpoints: Checkpointer;
  readonly changes: ChangeFeed;
  readonly #options: ServiceOptions;
  readonly #dataDir: DataDir;
  readonly intake: RingIntake;
  readonly #bulk: BulkIntake;
  readonly #watermark: AppliedWatermark;
  readonly #events: EventOutcomes;
  readonly #known: DedupeWindow;
  readonly #failed = Promise.withResolvers<string>();
  readonly #progress: LogProgress;
  #phase: Phase = 'starting';
  readonly #diskWatch: DiskWatch;
  #logAvailable = true;
  #diskHasRoom = true;
  #replayedPercent: number | undefined;
  #stopping: Promise<boolean> | undefined;
  #isBroken = false;
  /** None while `start` loads it, and for good if that fails. */
  #http: HttpSide | undefined;

  private constructor(options: ServiceOptions, dataDir: DataDir) {
    const { config, logger, threads } = options;
    this.#options = options;
    this.#dataDir = dataDir;
    const plan = planStore(config.storeBytesMax, config.shards);
    logger.info(
      { productsMax: plan.productsMax, storeBytes: config.storeBytesMax, shards: config.shards },
      `store: room for ${plan.productsMax} products`,
    );
    const { queueSize, bulkQueueSize, dedupeEvents, workers } = config;
    const memory = createSharedMemory({
      queueSize,
      bulkQueueSize,
      dedupeEvents,
      appliers: workers,
      store: plan,
      outcomeEvents: config.outcomeEvents,
      ...(options.firstCursor === undefined ? {} : { firstCursor: options.firstCursor }),
    });
    const shards = memory.shards.map((buffer) => new Shard(buffer));
    const onFatal = (reason: string) => this.#fail(reason);

    this.store = new SharedProductStore(shards, memory.hashKey);
    const rings = { live: new IntakeRing(memory.intake), bulk: new IntakeRing(memory.bulk) };
    const { storageTimeoutMs, batchesMax } = config;
    const room = {
      store: this.store,
      admission: new Admission(shards, plan),
      shards: shards.length,
      hashKey: memory.hashKey,
    };
    this.intake = new RingIntake({ ring: rings.live, queueSize, storageTimeoutMs, ...room });
    this.#bulk = new BulkIntake({
      rings,
      queueSize: bulkQueueSize,
      batchesMax,
      admission: new SlotAdmission(room),
      storageTimeoutMs,
    });
    const progress = new LogProgress(memory.progress);
    this.#progress = progress;
    const commits = new CommitRing(memory.commit, workers);
    this.#watermark = new AppliedWatermark(commits, progress);
    this.outcomes = new OutcomeReader({
      window: new OutcomeWindow(memory.outcomes),
      events: config.outcomeEvents,
      progress,
      applied: this.#watermark,
    });
    const { logFolder } = dataDir;
    this.changes = new ChangeFeed({
      history: changeHistory(
        new RingHistory(commits, progress),
        new LogHistory({ folder: logFolder, progress, hashKey: memory.hashKey }),
        new ChangeTeller(this.store, this.outcomes),
      ),
      progress,
      applied: this.#watermark,
      limits: config,
      onError: (error) => logger.error({ err: error }, 'changes: the log could not be read'),
    });
    this.#known = new DedupeWindow(memory.dedupe, memory.hashKey);
    this.appliers = new ApplierPool({
      memory,
      entry: threads?.applier ?? APPLIER_ENTRY,
      logger,
      onFatal,
    });
    this.#events = new EventOutcomes({
      watermark: this.#watermark,
      outcomes: this.outcomes,
      setAsideIn: (from, to) => this.appliers.setAsideIn(from, to),
    });
    this.log = new LogSupervisor({
      data: {
        memory,
        folder: dataDir.logFolder,
        checkpoints: dataDir.checkpointFolder,
        segmentBytesMax: config.segmentBytesMax,
      },
      entry: threads?.log ?? LOG_ENTRY,
      logger,
      onStorage: (available) => {
        this.#logAvailable = available;
        this.#tellIntake();
      },
      onProgress: (done, total) => {
        this.#replayedPercent = Math.floor((done / Math.max(total, 1)) * 100);
      },
      onDamagedCheckpoint: (replayFrom) => this.checkpoints.noteDamaged(replayFrom),
      onFatal,
    });
    this.checkpoints = new Checkpointer({
      memory,
      folder: dataDir.checkpointFolder,
      logFolder: dataDir.logFolder,
      everyBytes: config.checkpointBytes,
      retention: parseRetention(config.logRetention),
      logger,
    });
    this.#diskWatch = new DiskWatch({
      folder: dataDir.logFolder,
      reserveBytes: config.diskReserveBytes,
      onRoom: (enough, freeBytes) => {
        this.#diskHasRoom = enough;
        this.#tellIntake();
        if (enough) logger.info({ freeBytes }, 'disk: enough room again');
        else logger.error({ freeBytes }, 'disk: less room than DISK_RESERVE, refusing writes');
      },
    });
  }

  /**
   * Takes hold of the data folder, starts the threads and listens. The service answers from then
   * on, and is `ready` once the log is replayed. Rejects with DataDirError, or with what `listen`
   * says, and leaves nothing running then.
   */
  static async start(options: ServiceOptions): Promise<Service> {
    const dataDir = DataDir.open(options.config.dataDir);
    let service: Service;
    try {
      service = new Service(options, dataDir);
    } catch (error) {
      dataDir.close();
      throw error;
    }
    try {
      const { host, port } = options.config;
      service.#http = await HttpSide.load(service.#httpDeps());
      await service.#http.listen(host, port);
    } catch (error) {
      await service.stop();
      throw error;
    }
    return service;
  }

  #httpDeps(): AppDeps {
    const { config, logger } = this.#options;
    return {
      intake: this.intake,
      bulk: this.#bulk,
      known: this.#known,
      applied: this.#events,
      watermark: this.#watermark,
      products: this.store,
      catalogue: this.store,
      changes: this.changes,
      lifecycle: this,
      limits: config,
      ackDefault: config.ackDefault,
      logger,
    };
  }

  get phase(): Phase {
    return this.#phase;
  }

  get storageAvailable(): boolean {
    return this.#logAvailable && this.#diskHasRoom && !this.#isBroken;
  }

  get replayedPercent(): number | undefined {
    return this.#replayedPercent;
  }

  get http(): HttpSide {
    assert.ok(this.#http !== undefined, 'a service is given away when it listens');
    return this.#http;
  }

  /** Port it listens on. */
  get port(): number {
    return this.http.port;
  }

  /** Resolves when the log is replayed and writes are taken; rejects, with one line, if refused. */
  async ready(): Promise<void> {
    const failed = this.#failed.promise.then((reason) => {
      throw new Error(reason);
    });
    await Promise.race([this.log.serving, failed]);
    if (this.#phase !== 'starting') return;
    this.#phase = 'ready';
    this.#events.replayedSeq = this.#progress.loadNextSeq() - 1;
    this.intake.open();
    this.#bulk.open();
    this.checkpoints.start(this.log.replayedFrom);
  }

  /** Calls `onApplied` once the event `seq` is applied. */
  whenApplied(seq: number, onApplied: () => void): void {
    this.#watermark.whenApplied(seq, onApplied);
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

  async #stop(): Promise<boolean> {
    const { config, logger } = this.#options;
    const deadlineMs = performance.now() + config.shutdownTimeoutMs;
    const leftMs = (share: number) =>
      Math.max(1, deadlineMs - performance.now() - config.shutdownTimeoutMs * share);

    if (this.#phase === 'ready' && config.drainDelayMs > 0) {
      this.#phase = 'draining';
      await afterMs(config.drainDelayMs);
    }
    // A replay that the appliers can't follow would block the log thread for ever.
    if (this.#phase === 'starting' && this.#isBroken) await this.log.terminate();
    const wasReady = this.#phase !== 'starting';
    this.#phase = 'stopping';
    this.#diskWatch.stop();
    await this.checkpoints.stop();
    this.#http?.beginDrain();
    const settled = Promise.all([this.intake.close(), this.#bulk.close()]);
    // In this order: every claimed slot is settled, then nothing more comes, then the log ends.
    const inTime = await within(leftMs(CLOSING_SHARE), settled);
    const clean = this.log.stop().then(async (isClean) => {
      if (isClean) await this.appliers.finished();
      else {
        this.intake.failAll();
        this.#bulk.failAll();
      }
      // Nothing more is applied; streams end once they have told the rest.
      this.changes.close();
      return isClean;
    });
    const haveEnded = await this.#http?.endConnections(leftMs(CLOSING_SHARE / 2));
    if (haveEnded === false) logger.warn('stop: connections left open are closed');
    const isClean = (await within(leftMs(CLOSING_SHARE / 2), clean)) ?? false;
    // It spares the next start the replay; nothing is lost without it.
    if (isClean && wasReady) {
      await within(leftMs(CLOSING_SHARE / 4), this.checkpoints.take(false));
      await this.checkpoints.cancel();
    }

    await this.log.terminate();
    await this.appliers.terminate();
    this.intake.dispose();
    this.#bulk.dispose();
    this.#watermark.dispose();
    await this.#http?.close();
    this.#dataDir.close();
    this.#phase = 'stopped';
    return isClean && inTime !== undefined;
  }

  #fail(reason: string): void {
    this.#isBroken = true;
    this.#tellIntake();
    this.#failed.resolve(reason);
  }

  #tellIntake(): void {
    this.intake.storageAvailable = this.storageAvailable;
    this.#bulk.storageAvailable = this.storageAvailable;
  }
}
