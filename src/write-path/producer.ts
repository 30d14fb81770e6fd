/**
 * What a thread that takes events in has of the write path: its two intake rings with their front ends, and all
 * that it reads of the log and the store. Made in that thread, of shared memory and plain values alone, so that
 * a worker can be given them. The thread that makes it; docs/producers.md has the stories of several.
 */
import assert from 'node:assert/strict';
import { AppliedAges } from '../apply/applied-ages.ts';
import { AppliedWatermark } from '../apply/applied-watermark.ts';
import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../dedupe/receipt-window.ts';
import { BulkIntake } from '../intake/bulk-intake.ts';
import type { DurableAges } from '../intake/durable-ages.ts';
import { RingIntake } from '../intake/ring-intake.ts';
import { SlotAdmission } from '../intake/slot-admission.ts';
import { Histogram } from '../metrics/histogram.ts';
import { OutcomeReader, OutcomeWindow } from '../outcome/outcome-window.ts';
import { CommitRing } from '../ring/commit-ring.ts';
import {
  type IntakeRings,
  isRingSettled,
  type ProducerRings,
  producersOf,
} from '../ring/intake-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import { Admission } from '../store/admission.ts';
import { Shard } from '../store/shard.ts';
import { SharedProductStore } from '../store/shared-product-store.ts';
import type { StorePlan } from '../store/sizing.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { FenceAnswers } from './admission-fence.ts';
import { intakeRingsOf } from './intake-rings.ts';
import { limitsOf } from './service-limits.ts';

const BATCHES_MAX_DEFAULT = 1;

/** Survives structured cloning. */
export interface ProducerOptions {
  readonly memory: SharedMemory;
  /** Which producer it is; 0 = the main thread. */
  readonly producer: number;
  readonly store: StorePlan;
  /** Events in flight at the most. */
  readonly queueSize: number;
  /** The same of batches; one, unless given. */
  readonly bulkQueueSize?: number | undefined;
  /** Batches at a time; one, unless given. */
  readonly batchesMax?: number | undefined;
  /** How long an event waits for the log at the most. */
  readonly storageTimeoutMs: number;
  /** Events whose outcome is kept; one, unless given. */
  readonly outcomeEvents?: number | undefined;
  /** Whether it notes how old events are when they are durable and applied. */
  readonly notesAges?: boolean | undefined;
  /** Whether other instances write to the log: then it may refuse what was admitted here. */
  readonly isLogShared?: boolean | undefined;
}

/** How old events were, in ms, by the door they came through. */
export interface ProducerAges {
  readonly single: DurableAges;
  readonly batch: DurableAges;
  readonly applied: Histogram;
}

export class Producer {
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
  /** How old events were when they were durable and applied, if that is noted. */
  readonly ages: ProducerAges | undefined;
  readonly #own: ProducerRings;
  readonly #fence: FenceAnswers | undefined;

  /** Joins the memory; takes nothing in before `open`. */
  constructor(options: ProducerOptions) {
    const { memory, producer, store: plan, queueSize, bulkQueueSize = 1 } = options;
    const { batchesMax = BATCHES_MAX_DEFAULT, storageTimeoutMs, isLogShared } = options;
    const { hashKey } = memory;
    const shards = memory.shards.map((buffer) => new Shard(buffer));
    this.rings = intakeRingsOf(memory);
    const own = producersOf(this.rings)[producer];
    this.#own = own;
    this.commits = new CommitRing(memory.commit, memory.appliers.length);
    this.store = new SharedProductStore(shards, hashKey);
    this.progress = new LogProgress(memory.progress);
    this.watermark = new AppliedWatermark(this.commits, this.progress);
    this.ages = options.notesAges === true ? createAges(this.watermark) : undefined;
    const { together } = memory;
    const limits =
      together && limitsOf(together, producer, shards.length, { queueSize, batchesMax });
    const admission = new SlotAdmission({
      store: this.store,
      admission: new Admission(shards, plan, limits?.room),
      shards: shards.length,
      hashKey,
      producer,
    });
    const shared = { admission, storageTimeoutMs, isLogShared };
    this.intake = new RingIntake({
      ...shared,
      ring: own.live,
      main: this.rings.live,
      queueSize,
      places: limits?.queue,
      ages: this.ages?.single,
    });
    this.bulk = new BulkIntake({
      ...shared,
      ring: own.bulk,
      rings: this.rings,
      queueSize: bulkQueueSize,
      batchesMax,
      shared: limits?.bulk,
      ages: this.ages?.batch,
    });
    if (together !== undefined && producer > 0) {
      this.#fence = new FenceAnswers(together.fence, producer, this);
    }
    this.known = new DedupeWindow(memory.dedupe, hashKey);
    this.receipts = new ReceiptWindow(memory.receipts, hashKey);
    this.outcomes = new OutcomeReader({
      window: new OutcomeWindow(memory.outcomes),
      events: options.outcomeEvents ?? 1,
      progress: this.progress,
      watermark: this.watermark,
    });
  }

  /**
   * Takes events from now on. Once the log is ready, and what a predecessor had taken in is through
   * (`WritePath.takeBack`).
   */
  open(): void {
    const { live, bulk } = this.#own;
    assert.ok(
      isRingSettled(live) && isRingSettled(bulk),
      'what a predecessor published is settled',
    );
    this.#fence?.begin();
    this.intake.open();
    this.bulk.open();
  }

  /** Whether events can be made durable; while they can't, none are taken. */
  set storageAvailable(available: boolean) {
    this.intake.storageAvailable = available;
    this.bulk.storageAvailable = available;
  }

  /** Claimed events that are not settled. */
  get inFlight(): number {
    return this.intake.inFlight + this.bulk.inFlight;
  }

  /** Takes no more events; resolves when all that were claimed are settled. */
  async drain(): Promise<void> {
    await Promise.all([this.intake.close(), this.bulk.close()]);
    this.#fence?.end();
  }

  /** Answers everybody who waits that the outcome is unknown. */
  failAll(): void {
    this.intake.failAll();
    this.bulk.failAll();
  }

  /** Waits for nothing any more; nothing may be taken in after it. */
  dispose(): void {
    this.#fence?.end();
    this.intake.dispose();
    this.bulk.dispose();
    this.watermark.dispose();
  }
}

function createAges(watermark: AppliedWatermark): ProducerAges {
  const ages = new AppliedAges(watermark);
  const note: DurableAges['note'] = (seq, acceptedMs, nowMs) => ages.note(seq, acceptedMs, nowMs);
  return {
    single: { durable: new Histogram(), note },
    batch: { durable: new Histogram(), note },
    applied: ages.sampled,
  };
}
