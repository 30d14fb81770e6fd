/**
 * The write path as one unit: shared memory, rings, intakes, the log's thread, appliers, store, and how
 * far events have come. Main thread. Its life:
 *
 *   new ── start ──▶ log replays ── ready ──▶ open ──▶ takes events ── drain ── finish ── terminate
 *
 * `stop` is the last three in one, for whoever has no connections to end in between.
 */
import assert from 'node:assert/strict';
import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { AppliedWatermark } from '../apply/applied-watermark.ts';
import { ApplierPool } from '../apply/applier-pool.ts';
import { DeadSeqs } from '../apply/dead-seqs.ts';
import { EventOutcomes } from '../apply/event-outcomes.ts';
import type { DedupeWindow } from '../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import type { BulkIntake } from '../intake/bulk-intake.ts';
import type { RingIntake } from '../intake/ring-intake.ts';
import type { LogHistory } from '../log/event-log.ts';
import { LogHolds } from '../log/log-holds.ts';
import type { OutcomeReader } from '../outcome/outcome-window.ts';
import type { CommitRing } from '../ring/commit-ring.ts';
import { type IntakeRings, producersOf } from '../ring/intake-ring.ts';
import type { LogProgress } from '../ring/progress.ts';
import type { SlotContent } from '../ring/slot.ts';
import { FreeingBounds } from '../store/freeing-bounds.ts';
import { Shard } from '../store/shard.ts';
import type { SharedProductStore } from '../store/shared-product-store.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { decisionsApplied } from './admission-fence.ts';
import type { LogSource } from './log-source.ts';
import { LogSupervisor } from './log-supervisor.ts';
import { createSharedMemory, type MemoryOptions } from './memory.ts';
import { Producer, type ProducerAges, type ProducerOptions } from './producer.ts';
import { Estate } from './service-limits.ts';
import { WritePathCounters } from './write-path-counters.ts';

const LOOK_MS = 5;
const APPLIER_ENTRY = new URL('../../workers/applier.ts', import.meta.url);

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
  /** Only the data of another instance brings this one further. One line. */
  readonly onOvertaken?: (reason: string) => void;
  /** One line: the write path can't go on. */
  readonly onFatal: (reason: string) => void;
}

export class WritePath {
  readonly memory: SharedMemory;
  /** The main thread's part in taking events in; what follows, down to the outcomes, is its. */
  readonly producer: Producer;
  /** What it was made of; another thread's is made of the same, but for its number. */
  readonly producerOptions: ProducerOptions;
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
  readonly ages: ProducerAges | undefined;
  #abandoned = 0;
  /** Whether the appliers are started, or never will be. */
  #appliersStarted: Promise<void> = Promise.resolve();
  #terminated = false;

  /** Allocates and joins everything; no thread runs yet. */
  constructor(options: WritePathOptions, listener: WritePathListener) {
    const { appliers, logger } = options;
    const memory = options.memory ?? createSharedMemory(options);
    const { store, queueSize, bulkQueueSize, batchesMax, storageTimeoutMs } = options;
    const { outcomeEvents, notesAges } = options;
    this.memory = memory;
    this.producerOptions = {
      memory,
      producer: 0,
      store,
      queueSize,
      bulkQueueSize,
      batchesMax,
      storageTimeoutMs,
      outcomeEvents,
      notesAges,
      isLogShared: options.log.isShared,
    };
    this.producer = new Producer(this.producerOptions);
    this.rings = this.producer.rings;
    this.commits = this.producer.commits;
    this.store = this.producer.store;
    this.intake = this.producer.intake;
    this.bulk = this.producer.bulk;
    this.known = this.producer.known;
    this.receipts = this.producer.receipts;
    this.progress = this.producer.progress;
    this.watermark = this.producer.watermark;
    this.outcomes = this.producer.outcomes;
    this.ages = this.producer.ages;
    this.counters = new WritePathCounters(memory.counters, appliers);
    this.history = options.log.history(this.progress);
    this.holds = new LogHolds(memory.holds);
    const { onFatal, onOvertaken, onStorage, onProgress, onDamagedCheckpoint, onDead } = listener;
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
      dead: new DeadSeqs(memory.dead),
    });
    this.log = new LogSupervisor({
      memory,
      source: options.log,
      logger,
      onStorage: (available, reason) => onStorage?.(available, reason),
      onProgress: (done, total) => onProgress?.(done, total),
      onDamagedCheckpoint: (name) => onDamagedCheckpoint?.(name),
      onOvertaken: (reason) => onOvertaken?.(reason),
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
    this.producer.open();
  }

  /** Whether events can be made durable; while they can't, none are taken. */
  set storageAvailable(available: boolean) {
    this.producer.storageAvailable = available;
  }

  /** Resolves when all that was decided about room for events before this call is applied. */
  decisionsApplied(): Promise<void> {
    const { intake, bulk, rings, progress, watermark, memory } = this;
    const fence = memory.together?.fence;
    return decisionsApplied({ intake, bulk, rings, progress, watermark, fence });
  }

  /**
   * The thread of producer `producer` > 0 has ended without having drained. Gives back what it had of the service's
   * limits and did not publish; resolves when all that it did publish is applied, so that a successor may be
   * opened, or when the write path ends.
   */
  async takeBack(producer: number): Promise<void> {
    const { together } = this.memory;
    assert.ok(together !== undefined && producer > 0, 'another thread takes events in');
    const shards = this.memory.shards.map((buffer) => new Shard(buffer));
    const estate = new Estate(together, producer, producersOf(this.rings)[producer], shards);
    // For what it published and did not ring for.
    this.log.wake();
    // In this order: places of what is settled between the two are given back in the next round.
    for (let isThrough = false; !isThrough; ) {
      const { isSettled } = estate;
      isThrough = estate.givePlaces() && isSettled;
      if (!isThrough && !(await this.#goesOn())) return;
    }
    const seq = this.progress.loadNextSeq() - 1;
    while (this.watermark.seq < seq) if (!(await this.#goesOn())) return;
    while (!estate.giveRoom()) if (!(await this.#goesOn())) return;
  }

  /** Resolves a moment later; to false where the write path has ended. */
  async #goesOn(): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    return !this.#terminated;
  }

  /** Takes no more events; resolves when all that were claimed are settled. */
  drain(): Promise<void> {
    return this.producer.drain();
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
      this.#abandoned = this.producer.inFlight;
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
    this.producer.failAll();
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
    this.producer.dispose();
  }

  /** Drains, finishes and terminates; false if the log gave up on events. */
  async stop(): Promise<boolean> {
    await this.drain();
    const isClean = await this.finish();
    await this.terminate();
    return isClean;
  }
}
