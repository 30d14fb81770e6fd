/**
 * The whole way of an event without HTTP: intake, the real log thread on a folder, the real pool of
 * appliers, the store. Tests only.
 */
import { pino } from 'pino';
import type { Test } from 'tap';
import { ApplierPool } from '../../src/apply/applier-pool.ts';
import type { ProductEvent } from '../../src/event/product-event.ts';
import { RingIntake } from '../../src/intake/ring-intake.ts';
import { SlotAdmission } from '../../src/intake/slot-admission.ts';
import { DataDir } from '../../src/log/data-dir.ts';
import type { FolderGuard } from '../../src/log/folder-guard.ts';
import { COMMIT_HEAD, CommitRing } from '../../src/ring/commit-ring.ts';
import { IntakeRing, type IntakeRings } from '../../src/ring/intake-ring.ts';
import { LogProgress } from '../../src/ring/progress.ts';
import { Admission } from '../../src/store/admission.ts';
import { Shard } from '../../src/store/shard.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { planStore } from '../../src/store/sizing.ts';
import type { HashKey } from '../../src/threads/shared-memory.ts';
import { LogSupervisor } from '../../src/write-path/log-supervisor.ts';
import { createSharedMemory } from '../../src/write-path/memory.ts';
import { bounded } from './bounded.ts';

const QUEUE_SIZE = 500;
const DEDUPE_EVENTS = 50_000;
const SHARDS = 8;
const STORE_BYTES = 4 << 20;
const WAIT_MS_MAX = 60_000;

export interface PipelineOptions {
  readonly dataDir: string;
  readonly appliers?: number;
  readonly firstCursor?: number;
  readonly segmentBytesMax?: number;
  readonly logEntry?: URL;
  /** Known to the log's entry; see faulty-log.ts. */
  readonly faults?: Int32Array;
}

export class Pipeline {
  readonly intake: RingIntake;
  /** For tests that are the producer of bulk; it wakes the log thread at the doorbell of `live`. */
  readonly rings: IntakeRings;
  readonly hashKey: HashKey;
  readonly log: LogSupervisor;
  readonly appliers: ApplierPool;
  readonly store: SharedProductStore;
  readonly logged: { readonly msg: string }[] = [];
  /** What the log told about its storage, in order. */
  readonly storage: boolean[] = [];
  readonly fatal: string[] = [];
  readonly #dataDir: DataDir;
  readonly #commits: CommitRing;
  readonly #progress: LogProgress;
  #stopped = false;

  private constructor(options: PipelineOptions) {
    const { dataDir, appliers = 2, firstCursor = 0, segmentBytesMax = 1 << 20 } = options;
    const plan = planStore(STORE_BYTES, SHARDS);
    const made = createSharedMemory({
      queueSize: QUEUE_SIZE,
      bulkQueueSize: QUEUE_SIZE,
      appliers,
      store: plan,
      dedupeEvents: DEDUPE_EVENTS,
      firstCursor,
    });
    const memory = { ...made, faults: options.faults };
    const shards = memory.shards.map((buffer) => new Shard(buffer));
    const write = (line: string) => void this.logged.push(JSON.parse(line));
    const logger = pino({ level: 'info' }, { write });
    const onFatal = (reason: string) => {
      this.fatal.push(reason);
      this.intake.failAll();
    };
    this.#dataDir = DataDir.open(dataDir);
    this.#commits = new CommitRing(memory.commit, appliers);
    this.#progress = new LogProgress(memory.progress);
    this.rings = { live: new IntakeRing(memory.intake), bulk: new IntakeRing(memory.bulk) };
    this.hashKey = memory.hashKey;
    this.store = new SharedProductStore(shards, memory.hashKey);
    this.intake = new RingIntake({
      ring: this.rings.live,
      queueSize: QUEUE_SIZE,
      admission: new SlotAdmission({
        store: this.store,
        admission: new Admission(shards, plan),
        shards: SHARDS,
        hashKey: memory.hashKey,
      }),
      storageTimeoutMs: WAIT_MS_MAX,
    });
    const entry = new URL('../../workers/applier.ts', import.meta.url);
    this.appliers = new ApplierPool({ memory, entry, logger, onFatal });
    this.appliers.start();
    const { logFolder: folder, checkpointFolder: checkpoints, held } = this.#dataDir;
    this.log = new LogSupervisor({
      data: { memory, folder, checkpoints, segmentBytesMax, held },
      entry: options.logEntry ?? new URL('../../workers/log.ts', import.meta.url),
      logger,
      onStorage: (available) => {
        this.storage.push(available);
        this.intake.storageAvailable = available;
      },
      onProgress: () => undefined,
      onDamagedCheckpoint: () => undefined,
      onFatal,
    });
  }

  /** Starts it; resolves when the log is replayed and events are taken. */
  static async start(t: Pick<Test, 'teardown'>, options: PipelineOptions): Promise<Pipeline> {
    const pipeline = new Pipeline(options);
    t.teardown(() => pipeline.stop());
    await pipeline.log.serving;
    pipeline.intake.open();
    return pipeline;
  }

  /** Queues an event, asking again on later turns while there is no room; resolves to its seq. */
  async send(event: ProductEvent): Promise<number> {
    return (await this.fateOf(event)).seq;
  }

  /** As `send`; tells also whether it came before under the same key. */
  async fateOf(event: ProductEvent): Promise<{ seq: number; isReplayed: boolean }> {
    const fate = Promise.withResolvers<{ seq: number; isReplayed: boolean }>();
    const waiter = {
      durable: (seq: number, isReplayed = false) => fate.resolve({ seq, isReplayed }),
      conflict: () => fate.reject(new Error('conflict')),
      failed: (outcome: string) => fate.reject(new Error(`failed: ${outcome}`)),
    };
    for (;;) {
      const answer = this.intake.offer(event, waiter);
      if (answer === 'queued') return fate.promise;
      if (answer === 'store-full' || answer === 'closed') throw new Error(answer);
      if (this.fatal.length > 0) throw new Error(this.fatal[0]);
      await new Promise(setImmediate);
    }
  }

  /** Says what the keeper of the folder would say to the log thread. */
  get guard(): FolderGuard {
    return this.#dataDir.guard;
  }

  /** What is durable now; asks whether every applier has passed that. */
  mark(): () => boolean {
    // Not the ring's head: senders are told before that moves.
    const head =
      this.#progress.load()?.commitHead ?? Atomics.load(this.#commits.cursors, COMMIT_HEAD);
    return () => this.#commits.backlog(head) === 0;
  }

  /** Drains and ends everything; resolves to whether the log closed cleanly. */
  async stop(): Promise<boolean> {
    if (this.#stopped) return true;
    this.#stopped = true;
    await bounded(this.intake.close(), WAIT_MS_MAX, 'the intake to drain');
    const isClean = await bounded(this.log.stop(), WAIT_MS_MAX, 'the log to close');
    if (isClean) await bounded(this.appliers.finished(), WAIT_MS_MAX, 'the appliers to end');
    else this.intake.failAll();
    await this.log.terminate();
    await this.appliers.terminate();
    this.intake.dispose();
    this.#dataDir.close();
    return isClean;
  }
}
