/**
 * The write path as one unit: shared memory, rings, intakes, the log's thread, appliers, store, and how
 * far events have come. Main thread. Its life:
 *
 *   new ── start ──▶ log replays ── ready ──▶ open ──▶ takes events ── drain ── finish ── terminate
 *
 * `stop` is the last three in one, for whoever has no connections to end in between.
 */
import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { AppliedAges } from '../apply/applied-ages.ts';
import { AppliedWatermark } from '../apply/applied-watermark.ts';
import { ApplierPool } from '../apply/applier-pool.ts';
import { EventOutcomes } from '../apply/event-outcomes.ts';
import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../dedupe/receipt-window.ts';
import { BulkIntake } from '../intake/bulk-intake.ts';
import type { DurableAges } from '../intake/durable-ages.ts';
import { RingIntake } from '../intake/ring-intake.ts';
import { SlotAdmission } from '../intake/slot-admission.ts';
import type { LogHistory } from '../log/event-log.ts';
import { LogHolds } from '../log/log-holds.ts';
import { Histogram } from '../metrics/histogram.ts';
import { OutcomeReader, OutcomeWindow } from '../outcome/outcome-window.ts';
import { CommitRing } from '../ring/commit-ring.ts';
import type { IntakeRings } from '../ring/intake-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import type { SlotContent } from '../ring/slot.ts';
import { Admission } from '../store/admission.ts';
import { FreeingBounds } from '../store/freeing-bounds.ts';
import { Shard } from '../store/shard.ts';
import { SharedProductStore } from '../store/shared-product-store.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { decisionsApplied } from './admission-fence.ts';
import { intakeRingsOf } from './intake-rings.ts';
import type { LogSource } from './log-source.ts';
import { LogSupervisor } from './log-supervisor.ts';
import { createSharedMemory, type MemoryOptions } from './memory.ts';
import { WritePathCounters } from './write-path-counters.ts';

const APPLIER_ENTRY = new URL('../../workers/applier.ts', import.meta.url);
const BATCHES_MAX_DEFAULT = 1;

export interface WritePathOptions extends MemoryOptions {
  /** Batches at a time; one, unless given. */
  readonly batchesMax?: number;
  /** How long an event waits for the log at the most. */
  readonly storageTimeoutMs: number;
  readonly log: LogSource;
  readonly logger: Logger;
  /** Allocated for these options already; tests add what only their threads know. */
  readonly memory?: SharedMemory;
  /** Whether it notes how old events are when they are durable and applied. */
  readonly notesAges?: boolean;
  /** Module of an applier's thread; workers/applier.ts but in tests. */
  readonly applierEntry?: URL | undefined;
}

/** Hears what the threads find out. */
export interface WritePathListener {
  /** Whether the log can be written. */
  readonly onStorage?: (available: boolean, reason: string) => void;
  /** How far a long start has come. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** A part of a checkpoint was found damaged and passed over. */
  readonly onDamagedCheckpoint?: (name: string) => void;
  /** An event is dead: it is skipped from now on. */
  readonly onDead?: (content: SlotContent, reason: string) => void;
  /** One line: the write path can't go on. */
  readonly onFatal: (reason: string) => void;
}

/** How old events were, in ms, by the door they came through. */
export interface WritePathAges {
  readonly single: DurableAges;
  readonly batch: DurableAges;
  readonly applied: Histogram;
}

export class WritePath {
  readonly memory: SharedMemory;
  readonly rings: IntakeRings;
  readonly commits: CommitRing;
  readonly store: SharedProductStore;
  /** Takes single events. */
  readonly intake: RingIntake;
  /** Takes batches. */
  readonly bulk: BulkIntake;
  /** The keys that the log knows. */
  readonly known: DedupeWindow;
  /** The receipts of batches that it knows. */
  readonly receipts: ReceiptWindow;
  readonly progress: LogProgress;
  readonly watermark: AppliedWatermark;
  readonly outcomes: OutcomeReader;
  readonly events: EventOutcomes;
  readonly appliers: ApplierPool;
  readonly log: LogSupervisor;
  /** What the log holds, by seq. */
  readonly history: LogHistory;
  /** From where on somebody still needs the log. */
  readonly holds: LogHolds;
  /** What its threads count. */
  readonly counters: WritePathCounters;
  /** How old events were when they were durable and applied, if that is noted. */
  readonly ages: WritePathAges | undefined;
  #abandoned = 0;
  /** Whether the appliers are started, or never will be. */
  #appliersStarted: Promise<void> = Promise.resolve();
  #terminated = false;

  /** Allocates and joins everything; no thread runs yet. */
  constructor(options: WritePathOptions, listener: WritePathListener) {
    const { store: plan, queueSize, bulkQueueSize = 1, outcomeEvents = 1, logger } = options;
    const { appliers, storageTimeoutMs, batchesMax = BATCHES_MAX_DEFAULT } = options;
    const memory = options.memory ?? createSharedMemory(options);
    const { hashKey } = memory;
    const shards = memory.shards.map((buffer) => new Shard(buffer));
    this.memory = memory;
    this.rings = intakeRingsOf(memory);
    this.commits = new CommitRing(memory.commit, appliers);
    this.store = new SharedProductStore(shards, hashKey);
    const admission = new SlotAdmission({
      store: this.store,
      admission: new Admission(shards, plan),
      shards: shards.length,
      hashKey,
    });
    this.progress = new LogProgress(memory.progress);
    this.watermark = new AppliedWatermark(this.commits, this.progress);
    this.ages = options.notesAges === true ? createAges(this.watermark) : undefined;
    this.counters = new WritePathCounters(memory.counters, appliers);
    this.intake = new RingIntake({
      ring: this.rings.live,
      queueSize,
      storageTimeoutMs,
      admission,
      ages: this.ages?.single,
      isLogShared: options.log.isShared,
    });
    this.bulk = new BulkIntake({
      rings: this.rings,
      queueSize: bulkQueueSize,
      batchesMax,
      admission,
      storageTimeoutMs,
      ages: this.ages?.batch,
      isLogShared: options.log.isShared,
    });
    this.known = new DedupeWindow(memory.dedupe, hashKey);
    this.receipts = new ReceiptWindow(memory.receipts, hashKey);
    this.outcomes = new OutcomeReader({
      window: new OutcomeWindow(memory.outcomes),
      events: outcomeEvents,
      progress: this.progress,
      watermark: this.watermark,
    });
    this.history = options.log.history(this.progress);
    this.holds = new LogHolds(memory.holds);
    const { onFatal, onStorage, onProgress, onDamagedCheckpoint, onDead } = listener;
    const entry = options.applierEntry ?? APPLIER_ENTRY;
    this.appliers = new ApplierPool({
      memory,
      entry,
      ...options.log.restoring,
      logger,
      onDead,
      onFatal,
    });
    this.events = new EventOutcomes({
      watermark: this.watermark,
      outcomes: this.outcomes,
      deadIn: (from, to) => this.appliers.deadIn(from, to),
    });
    this.log = new LogSupervisor({
      memory,
      source: options.log,
      logger,
      onStorage: (available, reason) => onStorage?.(available, reason),
      onProgress: (done, total) => onProgress?.(done, total),
      onDamagedCheckpoint: (name) => onDamagedCheckpoint?.(name),
      onFatal,
    });
  }

  /**
   * Starts the log's thread, and the appliers once `after` has settled: until there is something to
   * apply, the log needs the cores. But in any case: a replay ends with them only.
   */
  start(after: Promise<unknown> = Promise.resolve()): void {
    this.log.start();
    const startAppliers = () => {
      if (!this.#terminated) this.appliers.start();
    };
    this.#appliersStarted = after.then(startAppliers, startAppliers);
  }

  /** Resolves when the log is replayed; rejects, with one line, when it refuses. */
  get ready(): Promise<void> {
    return this.log.serving;
  }

  /** Takes events from now on. Once it is ready. */
  open(): void {
    new FreeingBounds(this.memory.freeing).isReplaying = false;
    this.events.replayedSeq = this.progress.loadNextSeq() - 1;
    this.counters.begin();
    this.intake.open();
    this.bulk.open();
  }

  /** Whether events can be made durable; while they can't, none are taken. */
  set storageAvailable(available: boolean) {
    this.intake.storageAvailable = available;
    this.bulk.storageAvailable = available;
  }

  /** Resolves when all that was decided about room for events before this call is applied. */
  decisionsApplied(): Promise<void> {
    return decisionsApplied(this);
  }

  /** Takes no more events; resolves when all that were claimed are settled. */
  async drain(): Promise<void> {
    await Promise.all([this.intake.close(), this.bulk.close()]);
  }

  /**
   * Ends the log, then the appliers once they have applied all of it. False if the log gave up on
   * claimed events: `abandoned` says on how many.
   */
  async finish(): Promise<boolean> {
    const isClean = await this.log.stop();
    if (isClean) {
      await this.#appliersStarted;
      await this.appliers.finished();
    } else {
      this.#abandoned = this.intake.inFlight + this.bulk.inFlight;
      this.failAll();
    }
    return isClean;
  }

  /** Claimed events that could not be stored, so that their outcome is unknown. */
  get abandoned(): number {
    return this.#abandoned;
  }

  /** Answers everybody who waits that the outcome is unknown. */
  failAll(): void {
    this.intake.failAll();
    this.bulk.failAll();
  }

  /** The threads that run now, by what they are called. */
  get threads(): { readonly name: string; readonly worker: Worker }[] {
    const appliers = this.appliers.threads.map((worker) => ({ name: 'applier', worker }));
    const { worker } = this.log;
    return worker === undefined ? appliers : [{ name: 'log', worker }, ...appliers];
  }

  /** Ends the threads wherever they are. */
  async terminate(): Promise<void> {
    this.#terminated = true;
    await this.log.terminate();
    await this.appliers.terminate();
    this.intake.dispose();
    this.bulk.dispose();
    this.watermark.dispose();
  }

  /** Drains, finishes and terminates; false if the log gave up on events. */
  async stop(): Promise<boolean> {
    await this.drain();
    const isClean = await this.finish();
    await this.terminate();
    return isClean;
  }
}

function createAges(watermark: AppliedWatermark): WritePathAges {
  const ages = new AppliedAges(watermark);
  const note: DurableAges['note'] = (seq, acceptedMs, nowMs) => ages.note(seq, acceptedMs, nowMs);
  return {
    single: { durable: new Histogram(), note },
    batch: { durable: new Histogram(), note },
    applied: ages.sampled,
  };
}
