/**
 * The service's write path and store without HTTP: the same threads, rings and files, assembled as
 * assembly.ts does it. For benches; main thread.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { AppliedWatermark } from '../src/apply/applied-watermark.ts';
import { ApplierPool } from '../src/apply/applier-pool.ts';
import { Checkpointer } from '../src/checkpoint/checkpointer.ts';
import type { EventIntake, EventWaiter } from '../src/intake/event-intake.ts';
import { RingIntake } from '../src/intake/ring-intake.ts';
import { SlotAdmission } from '../src/intake/slot-admission.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER } from '../src/log/data-dir.ts';
import { CommitRing } from '../src/ring/commit-ring.ts';
import { IntakeRing } from '../src/ring/intake-ring.ts';
import { LogProgress } from '../src/ring/progress.ts';
import { Admission } from '../src/store/admission.ts';
import { Shard } from '../src/store/shard.ts';
import { SharedProductStore } from '../src/store/shared-product-store.ts';
import { planStore } from '../src/store/sizing.ts';
import type { SharedMemory } from '../src/threads/shared-memory.ts';
import { LogSupervisor } from '../src/write-path/log-supervisor.ts';
import { createSharedMemory } from '../src/write-path/memory.ts';
import type { EventStream } from './event-stream.ts';

export interface WritePathOptions {
  /** Becomes a DATA_DIR: the log goes to `log` in here. */
  readonly folder: string;
  readonly appliers: number;
  readonly queueSize: number;
  readonly storeBytes: number;
  readonly shards?: number;
  /** Hears of checkpoints; without it only warnings are shown. */
  readonly logger?: Logger;
}

const SHARDS_DEFAULT = 16;
export const SEGMENT_BYTES_MAX = 64 * 2 ** 20;
const STORAGE_TIMEOUT_MS = 30_000;

export class WritePath {
  readonly memory: SharedMemory;
  readonly store: SharedProductStore;
  readonly intake: RingIntake;
  readonly logFolder: string;
  /** Takes none by itself, and keeps no more log than two of them need. */
  readonly checkpoints: Checkpointer;
  readonly #appliers: ApplierPool;
  readonly #log: LogSupervisor;
  readonly #queueSize: number;
  readonly #failed = Promise.withResolvers<never>();

  private constructor(options: WritePathOptions) {
    const {
      folder,
      appliers,
      queueSize,
      storeBytes,
      shards: shardCount = SHARDS_DEFAULT,
      logger = pino({ level: 'warn' }),
    } = options;
    const plan = planStore(storeBytes, shardCount);
    this.#queueSize = queueSize;
    this.logFolder = join(folder, LOG_FOLDER);
    mkdirSync(this.logFolder, { recursive: true });
    const checkpoints = join(folder, CHECKPOINT_FOLDER);
    mkdirSync(checkpoints);
    this.memory = createSharedMemory({ queueSize, appliers, store: plan });
    const shards = this.memory.shards.map((buffer) => new Shard(buffer));
    const { hashKey } = this.memory;
    this.store = new SharedProductStore(shards, hashKey);
    this.intake = new RingIntake({
      ring: new IntakeRing(this.memory.intake),
      queueSize,
      admission: new SlotAdmission({
        store: this.store,
        admission: new Admission(shards, plan),
        shards: shards.length,
        hashKey,
      }),
      storageTimeoutMs: STORAGE_TIMEOUT_MS,
    });
    const onFatal = (reason: string) => this.#failed.reject(new Error(reason));
    this.#failed.promise.catch(() => undefined);
    this.#appliers = new ApplierPool({
      memory: this.memory,
      entry: new URL('../workers/applier.ts', import.meta.url),
      logger,
      onFatal,
    });
    this.#appliers.start();
    this.#log = new LogSupervisor({
      data: {
        memory: this.memory,
        folder: this.logFolder,
        checkpoints,
        segmentBytesMax: SEGMENT_BYTES_MAX,
      },
      entry: new URL('../workers/log.ts', import.meta.url),
      logger,
      onStorage: (available, reason) => {
        if (!available) this.#failed.reject(new Error(reason));
      },
      onProgress: () => undefined,
      onDamagedCheckpoint: () => undefined,
      onFatal,
    });
    this.checkpoints = new Checkpointer({
      memory: this.memory,
      folder: checkpoints,
      logFolder: this.logFolder,
      everyBytes: Number.POSITIVE_INFINITY,
      retention: { bytes: 0 },
      logger,
    });
  }

  /** Starts the threads; resolves when events are taken. */
  static async start(options: WritePathOptions): Promise<WritePath> {
    const path = new WritePath(options);
    await path.#log.serving;
    path.intake.open();
    return path;
  }

  /**
   * Sends the next `events` of the stream and resolves when all of them are durable. It keeps the
   * queue between half full and full: a producer that is told of every half of it.
   */
  async send(stream: EventStream, events: number): Promise<void> {
    const half = Math.max(1, this.#queueSize >> 1);
    const sent: Promise<void>[] = [];
    for (let left = events; left > 0; left -= half) {
      sent.push(offerAll(this.intake, stream, Math.min(half, left)));
      if (sent.length === 2) await this.#orFailed(sent.shift() as Promise<void>);
    }
    await this.#orFailed(Promise.all(sent));
  }

  /** Resolves when everything that is durable is applied. */
  async applied(): Promise<void> {
    const progress = new LogProgress(this.memory.progress);
    const ring = new CommitRing(this.memory.commit, this.memory.appliers.length);
    const watermark = new AppliedWatermark(ring, progress);
    const applied = Promise.withResolvers<void>();
    watermark.whenApplied((progress.load()?.nextSeq ?? 1) - 1, applied.resolve);
    await this.#orFailed(applied.promise);
    watermark.dispose();
  }

  /** Seals the log and resolves when everything in it is applied. */
  async finish(): Promise<void> {
    await this.#orFailed(this.intake.close());
    if (!(await this.#log.stop())) throw new Error('the log gave up on events');
    await this.#orFailed(this.#appliers.finished());
  }

  /** Ends the threads. */
  async dispose(): Promise<void> {
    await this.#log.terminate();
    await this.#appliers.terminate();
    this.intake.dispose();
  }

  #orFailed<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed.promise]);
  }
}

/** Offers `count` ≥ 1 events, for which there is room; resolves when the last one is durable. */
function offerAll(intake: EventIntake, stream: EventStream, count: number): Promise<void> {
  const last = Promise.withResolvers<void>();
  const waiter: EventWaiter = {
    durable: () => last.resolve(),
    conflict: () => last.reject(new Error('an event met a conflict')),
    failed: (outcome) => last.reject(new Error(`an event failed, outcome ${outcome}`)),
  };
  for (let i = 1; i <= count; i++) {
    const offer = intake.offer(stream.next(), i === count ? waiter : undefined);
    if (offer !== 'queued') throw new Error(`an offer was answered ${offer}`);
  }
  return last.promise;
}
