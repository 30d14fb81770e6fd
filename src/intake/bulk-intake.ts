/**
 * The write path's front end for batches: its own intake ring, filled slot by slot or by whole
 * copies. In the thread of the ring's one producer.
 *
 * An import writes the slots that `nextSlot` gives, claims them, and publishes them with the end of
 * its turn. Where there is no room it waits for the log to settle some; nothing here blocks.
 *
 *          settled                tail                  head            claimed
 *   ──────────┼─────────────────────┼─────────────────────┼────────────────┼──────────▶
 *    free     │ durable, not counted │ the log thread's    │ this turn's    │ free
 *
 * Whose each slot is, and what became of it, is slot-runs.ts's. (Over 300 lines: one ring's one producer.)
 */
import assert from 'node:assert/strict';
import { BellWatch } from '../ring/bell.ts';
import {
  INTAKE_BELL_BACK,
  INTAKE_HEAD,
  INTAKE_TAIL,
  type IntakeRing,
  type IntakeRings,
  type ProducerRings,
  producersOf,
  publishHead,
} from '../ring/intake-ring.ts';
import { copySlots, type SlotViews } from '../ring/slot.ts';
import type { SharedPlaces } from '../threads/shared-places.ts';
import { Batch } from './batch.ts';
import { BulkPlaces, type BulkPlacesOptions } from './bulk-places.ts';
import { DrainRate } from './drain-rate.ts';
import type { DurableAges } from './durable-ages.ts';
import { FairTurns } from './fair-turns.ts';
import type { SlotAdmission } from './slot-admission.ts';
import { type NewRun, SlotRuns } from './slot-runs.ts';

export interface BulkIntakeOptions {
  /** Those of all threads that take events in. */
  readonly rings: IntakeRings;
  /** The one to fill; the main thread's, unless given. */
  readonly ring?: IntakeRing | undefined;
  /** Events in flight at the most; ≤ the ring's capacity. */
  readonly queueSize: number;
  /** Batches at a time. */
  readonly batchesMax: number;
  /** Where several producers share both. */
  readonly shared?: SharedBulk | undefined;
  readonly admission: SlotAdmission;
  /** How long an event, or a batch that has none on its way, waits for the log at the most. */
  readonly storageTimeoutMs: number;
  /** Hears how long events took; nobody does, unless given. */
  readonly ages?: DurableAges | undefined;
  /** Whether the log may drop events without a key, too: one that other instances write to. */
  readonly isLogShared?: boolean | undefined;
}

/** What several producers share. */
export interface SharedBulk {
  /** Those of `queueSize`. */
  readonly places: BulkPlacesOptions;
  /** Those of `batchesMax`. */
  readonly batches: SharedPlaces;
}

/** Why no batch is begun: the same words as for a single event. */
export type BatchRefusal = 'closed' | 'storage-unavailable' | 'queue-full';

/**
 * Events of batches in flight at the most while single events keep coming: with a full queue, the
 * log and the appliers would keep every core busy, and each single event would wait for its turn.
 * bench/fairness.bench.ts on two cores, 16 connections: with 32,768 the p99 of a POST is 5.4 times the quiet
 * one at 824,000 imported events/s, with 4,096 3.8 times at 717,000, with 1,024 1.8 at 510,000.
 */
const LIVE_SHARE = 1024;
/** How long after the last single event others are expected. */
const LIVE_MS = 50;

interface Waiting {
  readonly batch: Batch;
  readonly isForRoom: boolean;
  readonly sinceMs: number;
  /** Whether what it waits for is there, or it waits no more. */
  readonly isDue: () => boolean;
  readonly resolve: () => void;
}

export class BulkIntake {
  /** Shared by everything that works on batches: one slice of work in a turn of the event loop. */
  readonly turns = new FairTurns();
  readonly #options: BulkIntakeOptions;
  readonly #ring: IntakeRing;
  readonly #producers: readonly ProducerRings[];
  readonly #bell: BellWatch;
  readonly #sweep: NodeJS.Timeout;
  readonly #rate = new DrainRate();
  readonly #hasMoved = () => Atomics.load(this.#ring.cursors, INTAKE_TAIL) !== this.#settled;
  readonly #places: BulkPlaces | undefined;
  readonly #hasRoom = () => this.#storageAvailable && this.#free > 0;
  readonly #batches = new Set<Batch>();
  readonly #runs: SlotRuns;
  #waiting: Waiting[] = [];
  #claimed: number;
  #published: number;
  #settled: number;
  /** Events in flight at the most, just now. */
  #limit: number;
  #liveHead: number;
  #liveUntilMs = 0;
  #isOpen = false;
  #storageAvailable = true;
  #onDrained: (() => void)[] = [];

  constructor(options: BulkIntakeOptions) {
    this.#options = options;
    this.#ring = options.ring ?? options.rings.bulk;
    this.#producers = producersOf(options.rings);
    assert.ok(options.queueSize <= this.#ring.capacity);
    this.#bell = new BellWatch(this.#ring.cursors, INTAKE_BELL_BACK, () => this.#wake());
    if (options.shared !== undefined) {
      this.#places = new BulkPlaces(options.shared.places, () => {
        this.#wakeDue();
        this.#watch();
      });
    }
    this.#claimed = Atomics.load(this.#ring.cursors, INTAKE_HEAD);
    this.#published = this.#claimed;
    this.#settled = this.#claimed;
    this.#runs = new SlotRuns(this.#ring, options.admission, options.ages, options.isLogShared);
    this.#limit = options.queueSize;
    this.#liveHead = this.#loadLiveHeads();
    const sweepMs = Math.max(10, Math.min(250, options.storageTimeoutMs / 4));
    this.#sweep = setInterval(() => this.#failOverdue(), sweepMs).unref();
  }

  /** The ring's slots; `nextSlot` says which of them is free. */
  get slots(): SlotViews {
    return this.#ring.slots;
  }

  get admission(): SlotAdmission {
    return this.#options.admission;
  }

  /** Events claimed and not yet settled, those of other producers apart. */
  get inFlight(): number {
    return (this.#claimed - this.#settled) | 0;
  }

  /** How far slots are claimed; `isSettled` says when all up to there are settled. */
  get claimed(): number {
    return this.#claimed;
  }

  isSettled(claimed: number): boolean {
    return ((this.#settled - claimed) | 0) >= 0;
  }

  /** Whether streams may go on; once false, it stays so. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
  }

  /**
   * Begins no batch from now on; streams see `isOpen` and end, batches that are valid are queued to
   * their end. Resolves when no batch is left and everything queued is settled.
   */
  close(): Promise<void> {
    this.#isOpen = false;
    for (const batch of this.#batches) batch.onStop();
    this.#wakeDue();
    return new Promise((resolve) => {
      this.#onDrained.push(resolve);
      this.#afterEnd();
    });
  }

  /** While false nothing is queued; what is in flight goes on waiting. */
  set storageAvailable(available: boolean) {
    this.#storageAvailable = available;
    if (available) this.#wakeDue();
  }

  /** Notifies every batch that its outcome is unknown: the log thread gave up. */
  failAll(): void {
    for (const batch of this.#batches) batch.fail();
    this.#runs.clear();
    this.#places?.settled(this.inFlight);
    this.#settled = this.#claimed;
    this.#published = this.#claimed;
    this.#wakeDue();
    this.#afterEnd();
  }

  /** Stops the timer and the wait; nothing may be queued after it. */
  dispose(): void {
    clearInterval(this.#sweep);
    this.#isOpen = false;
    this.#bell.release();
    this.#places?.dispose();
  }

  retryAfterSeconds(): number {
    return this.#rate.secondsFor(this.inFlight, performance.now());
  }

  /** Begins a batch, which must be ended, or says why not. */
  begin(): Batch | BatchRefusal {
    if (!this.#isOpen) return 'closed';
    if (!this.#storageAvailable) return 'storage-unavailable';
    const { batchesMax, shared } = this.#options;
    if (this.#batches.size >= batchesMax || shared?.batches.take() === false) return 'queue-full';
    const batch = new Batch();
    this.#batches.add(batch);
    return batch;
  }

  /**
   * Nothing more comes of this batch, and its place is free. Resolves when nothing of it is on its way any
   * more: at once unless it has failed.
   */
  end(batch: Batch): Promise<void> {
    if (this.#batches.delete(batch)) this.#options.shared?.batches.give(1);
    // A batch that fails may have claimed slots that it did not come to publish.
    if (this.#published !== this.#claimed) this.publish();
    this.#afterEnd();
    return this.#when(batch, false, () => batch.isSettled || this.inFlight === 0);
  }

  /** Slots that can be claimed now, in this turn of the event loop. */
  room(): number {
    if (!this.#storageAvailable) return 0;
    return this.#places === undefined ? this.#free : this.#places.lease(this.#limit);
  }

  /** Slots that could be claimed: where they are shared, whether there are any. */
  get #free(): number {
    if (this.#places !== undefined) return this.#places.hasSome(this.#limit) ? 1 : 0;
    return Math.max(0, this.#limit - this.inFlight);
  }

  /** Index of the slot that the next event goes to; −1 = there is no room. */
  nextSlot(): number {
    return this.room() > 0 ? this.#claimed & this.#ring.mask : -1;
  }

  /**
   * Queues the slot that `nextSlot` gave, written and admitted, as the batch's event `number`;
   * `isKeyed` says whether it has a key.
   */
  claim(batch: Batch, number: number, isKeyed: boolean): void {
    // A run that was published has its place in time: what comes later waits for less long.
    this.#runs.add(batch, number, isKeyed, this.#published !== this.#claimed);
    this.#claim(1);
  }

  /** Queues `count` ≤ `room()` slots from index `from` on, admitted; their numbers follow `run`'s. */
  claimCopies(run: NewRun, slots: SlotViews, from: number, count: number): void {
    assert.ok(count <= this.room());
    // The source is a plain stretch, so its mask only has to cover it.
    copySlots(slots, 0x3fffffff, from, this.#ring.slots, this.#ring.mask, this.#claimed, count);
    this.#runs.addRun(run, count);
    this.#claim(count);
  }

  /**
   * Queues a receipt of the batch, behind all that is queued of it by now: `write` is given the slot.
   * There must be room.
   */
  claimReceipt(batch: Batch, write: (slots: SlotViews, index: number) => void): void {
    const index = this.nextSlot();
    assert.ok(index >= 0);
    write(this.#ring.slots, index);
    this.#runs.addReceipt(batch);
    this.#claim(1);
  }

  #claim(count: number): void {
    if (this.inFlight === 0) this.#rate.started(performance.now());
    this.#places?.use(count);
    this.#claimed = (this.#claimed + count) | 0;
  }

  /** Hands everything claimed to the log thread, and counts what it has settled by now. */
  publish(): void {
    this.#places?.giveBack();
    this.#lookAtLive();
    if (this.#published !== this.#claimed) {
      this.#published = this.#claimed;
      publishHead(this.#ring, this.#claimed, this.#options.rings.live);
    }
    this.#settle();
    this.#watch();
  }

  /** Resolves when there is room, the batch has failed, or a stream may not go on (`isStream`). */
  whenRoom(batch: Batch, isStream: boolean): Promise<void> {
    const isDue = () => batch.hasFailed || this.#hasRoom() || (isStream && !this.#isOpen);
    return this.#when(batch, true, isDue);
  }

  /** Resolves when all of the batch that is queued is settled, or the batch has failed. */
  whenSettled(batch: Batch): Promise<void> {
    return this.#when(batch, false, () => batch.hasFailed || batch.isSettled);
  }

  #when(batch: Batch, isForRoom: boolean, isDue: () => boolean): Promise<void> {
    if (isDue()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ batch, isForRoom, isDue, resolve, sinceMs: performance.now() });
      this.#sayWhetherItWaits();
      this.#watch();
    });
  }

  /** Notes whether single events keep coming; then batches keep the queue short for their sake. */
  #lookAtLive(): void {
    const nowMs = performance.now();
    const head = this.#loadLiveHeads();
    if (head !== this.#liveHead) {
      this.#liveHead = head;
      this.#liveUntilMs = nowMs + LIVE_MS;
    }
    const { queueSize } = this.#options;
    this.#limit = nowMs < this.#liveUntilMs ? Math.min(queueSize, LIVE_SHARE) : queueSize;
  }

  /** Another number once a single event was taken in, on whichever thread: heads only ever go up. */
  #loadLiveHeads(): number {
    let sum = 0;
    for (const { live } of this.#producers) {
      sum = (sum + Atomics.load(live.cursors, INTAKE_HEAD)) | 0;
    }
    return sum;
  }

  #wake(): void {
    this.#lookAtLive();
    this.#settle();
    this.#watch();
  }

  /** Asks to be woken when the tail moves, if something is in flight, and when others make room. */
  #watch(): void {
    while (this.inFlight > 0 && this.#bell.watch(this.#hasMoved)) this.#settle();
    while (this.#places?.watch(this.#hasRoom) === true) this.#wakeDue();
  }

  #sayWhetherItWaits(): void {
    if (this.#places === undefined) return;
    this.#places.waits = this.#waiting.some(({ isForRoom }) => isForRoom);
  }

  /** Counts what the log thread has dealt with. */
  #settle(): void {
    // Pairs with the log thread's Atomics.store of the tail, after it wrote the slots' numbers.
    const tail = Atomics.load(this.#ring.cursors, INTAKE_TAIL);
    const count = (tail - this.#settled) | 0;
    if (count <= 0) return;
    const nowMs = performance.now();
    this.#rate.settled(count, nowMs);
    this.#places?.settled(count);
    this.#runs.settle(this.#settled, tail, nowMs);
    this.#settled = tail;
    this.#wakeDue();
    this.#afterEnd();
  }

  #wakeDue(): void {
    const due = this.#waiting.filter(({ isDue }) => isDue());
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => !due.includes(waiting));
    this.#sayWhetherItWaits();
    for (const { resolve } of due) resolve();
  }

  #afterEnd(): void {
    if (this.#isOpen || this.#batches.size > 0 || this.inFlight > 0) return;
    for (const resolve of this.#onDrained) resolve();
    this.#onDrained = [];
  }

  /** Lets go the batches that waited too long; their slots stay in flight. */
  #failOverdue(): void {
    const before = performance.now() - this.#options.storageTimeoutMs;
    this.#runs.failQueuedBefore(before);
    for (const { batch, sinceMs } of this.#waiting) {
      if (batch.isSettled && sinceMs <= before) batch.fail();
    }
    this.#wakeDue();
  }
}
