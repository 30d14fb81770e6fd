/**
 * Keeps the store from filling up with products that are gone: when its fill passes CLEANUP_THRESHOLD, those
 * that were delisted longer than TOMBSTONE_RETENTION ago are forgotten, and their places given to others.
 * Main thread; the work on the store is done by its owners.
 *
 * To forget is a change of state like any other: a note in the log, decided by the shard's owner at its place
 * in the order, and the same at every replay. From there on the product is as if it had never been, so that an
 * event of it, however old, counts as a new product's. To free the place changes no state at all: nobody can
 * tell a forgotten product from one that never was. It only has to wait until nobody counts on the place:
 *
 *   forgotten ──▶ 1 all are applied ──▶ 2 what was ──▶ 3 two states of ──▶ 4 all sinks ──▶ free
 *   at seq F        up to F               admitted        each part            have F
 *
 *  1, 2. Events of known products are queued without a reservation of room. So whatever was decided about room
 *     while F was not visible has to be applied first: batches that have decided and not yet queued everything
 *     end, then all that is claimed is settled, then everything with a seq by then is applied
 *     (write-path/admission-fence.ts). Those that come later see that the product is forgotten, and reserve.
 *  3. Behind any state from which a start could replay: each part of the checkpoint is kept twice, and the
 *     older ones begin behind F too. Else a part without the product, and older events of it replayed, would
 *     bring it back. Where room is needed soon, rounds are begun for that.
 *  4. A sink finds what changed by the seqs of entries, this one too; it has written by then that the product
 *     is not listed. A sink that is down keeps places from being freed for SINK_HOLD; then, and if it is not named
 *     in SINKS, it does not, and its rows are compared with the store when it comes back (sinks/followed-sinks.ts).
 *
 * The interleavings:
 *  - An event of the product between the note's being queued and its seq: where it lists the product, or changes
 *    anything, the seq is another and the note does nothing. Where it is stale, it changed nothing.
 *  - An event between F and the freeing: the place is taken into use again, by the same product. The sweep
 *    looks at each entry as it is then.
 *  - Two notes on one product: the second finds another seq.
 *  - Killed between F's flush and the freeing: the replay forgets the product again, or the part has it
 *    forgotten; the next cleanup frees it. Killed after the freeing, with a part on the disk that still has
 *    the place: the replay, which has the event of whoever got it, frees it where the shard is full
 *    (store/freeing-bounds.ts).
 *  - A part is being copied while the place is freed: it begins behind F by 3. Its next owner's event is
 *    replayed with it. Where the product itself comes back, at another place, the part may have both
 *    (store/shard-image.ts).
 *  - A follower of the changes at an older place: the delisting is reported for a product that is not there as
 *    well; the note itself is no change (changes/event-changes.ts).
 *  - A reader between lookup and read, a walk, a dying owner: store/shard-places.ts.
 *  - The log can't be written: the note is not queued, or waits in the ring like everything.
 */
import type { Logger } from 'pino';
import { Batch } from '../intake/batch.ts';
import type { BulkIntake } from '../intake/bulk-intake.ts';
import { COMMIT_DOORBELL } from '../ring/commit-ring.ts';
import { copySlots, SLOT_BYTES, SlotViews } from '../ring/slot.ts';
import { EntryReader } from '../store/entry-reader.ts';
import { FreeingBounds } from '../store/freeing-bounds.ts';
import { Shard } from '../store/shard.ts';
import { fillOf } from '../store/store-metrics.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { NEVER_SEQ, putForget } from './forget-slot.ts';
import { type Found, scanStore } from './store-scan.ts';

/** Rounds of the checkpoint are begun for as many places, or as soon as the store is nearly full. */
const WAITING_SHARE = 1 / 32;
/** How far between the threshold and 1 the store is nearly full. */
const NEARLY_FULL = 0.5;
/**
 * Notes under way at the most: so many are queued and settled before more are. A first cleanup of a full store has
 * millions, and they go through the rings and frames of everybody else's events: never more of them at a time,
 * whatever there is to forget.
 */
export const NOTES_MAX = 1024;
/** The mask of a plain stretch of slots: it only has to cover it. */
const NO_WRAP = 0x3fffffff;

export interface CleanupLimits {
  /** CLEANUP_THRESHOLD: fill from which on products are forgotten; above 1 = never. */
  readonly threshold: number;
  /** GC_INTERVAL. */
  readonly intervalMs: number;
  /** TOMBSTONE_RETENTION. */
  readonly retentionMs: number;
}

export interface CleanupOptions {
  readonly memory: Pick<SharedMemory, 'shards' | 'freeing'>;
  /** The commit ring's cursors, where the appliers' bell is. */
  readonly commitCursors: Int32Array;
  readonly productsMax: number;
  readonly bulk: Pick<
    BulkIntake,
    'isOpen' | 'room' | 'publish' | 'whenRoom' | 'whenSettled' | 'claimReceipt'
  >;
  readonly limits: CleanupLimits;
  /** Up to where events are applied. */
  readonly watermark: { readonly seq: number };
  /** Resolves when all that was decided about room before is applied. Rejects when the service stops. */
  readonly decisionsApplied: () => Promise<void>;
  /** Rounds of the checkpoint. */
  readonly checkpoints: {
    readonly twiceCoveredSeq: number;
    runRound(isPaced: boolean): Promise<boolean>;
  };
  readonly sinks: {
    /** All sinks have what was changed up to this seq. */
    readonly flushedSeq: number;
    /** Notes, for good, that what was forgotten up to this seq may be freed from now on. */
    freeUntil(seq: number): void;
  };
  /** The log's time, ms. */
  readonly nowMs: () => number;
  readonly logger: Logger;
}

export class Cleanup {
  readonly #options: CleanupOptions;
  readonly #shards: readonly Shard[];
  readonly #bounds: FreeingBounds;
  readonly #reader = new EntryReader();
  /** The note that is about to be queued. */
  readonly #note = new SlotViews(new ArrayBuffer(SLOT_BYTES), 0, 1);
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #isStopped = false;
  #waiting = 0;
  /** Where one of them is, or was. */
  #someForgotten: Found | undefined;

  constructor(options: CleanupOptions) {
    this.#options = options;
    this.#shards = options.memory.shards.map((buffer) => new Shard(buffer));
    this.#bounds = new FreeingBounds(options.memory.freeing);
  }

  /** Forgotten products whose places were not freed yet, when they were last counted. */
  get waiting(): number {
    return this.#waiting;
  }

  start(): void {
    const { limits } = this.#options;
    this.#timer = setInterval(() => void this.run(), limits.intervalMs).unref();
  }

  /** Queues nothing more; resolves when the round that is under way has seen that. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#round;
  }

  /** One round; the one under way, if there is one. Never rejects. */
  run(): Promise<void> {
    this.#round ??= this.#run().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  async #run(): Promise<void> {
    const { limits, logger } = this.#options;
    if (this.#isStopped || (this.#fill < limits.threshold && this.#waiting === 0)) return;
    try {
      await this.#forget();
      if (this.#waiting > 0 && !this.#isStopped) await this.#free();
    } catch (error) {
      if (!this.#isStopped) logger.error({ err: error }, 'cleanup: a round failed');
    }
  }

  get #fill(): number {
    return fillOf(this.#shards, this.#options.productsMax);
  }

  get #goesOn(): boolean {
    return !this.#isStopped && this.#options.bulk.isOpen;
  }

  /** Queues a note for each product that may be forgotten, and counts those that are. */
  async #forget(): Promise<void> {
    const { bulk, limits, nowMs, logger } = this.#options;
    const isDue = this.#fill >= limits.threshold;
    let batch = new Batch();
    let notes = 0;
    let waiting = 0;
    const settle = async () => {
      await this.#settle(batch);
      batch = new Batch();
    };
    await scanStore(this.#shards, nowMs() - limits.retentionMs, {
      expired: (found) => {
        if (!isDue || batch.hasFailed) return undefined;
        if (!this.#prepare(found, found.seq) || this.#reader.seq !== found.seq) return undefined;
        notes++;
        this.#someForgotten = found;
        const queued = this.#queue(batch);
        if (notes % NOTES_MAX > 0) return queued;
        return queued === undefined ? settle() : queued.then(settle);
      },
      forgotten: (found) => {
        waiting++;
        this.#someForgotten = found;
      },
      goOn: () => {
        bulk.publish();
        return this.#goesOn && !batch.hasFailed;
      },
    });
    await this.#settle(batch);
    if (notes > 0) logger.info({ products: notes }, `cleanup: ${notes} products are forgotten`);
    this.#waiting = waiting + notes;
  }

  /** Writes the note on a product; false if its place is free, or somebody wrote to it just now. */
  #prepare({ shard, entry }: Found, expectedSeq: number): boolean {
    if (!this.#reader.read(shard.words, entry)) return false;
    if (!putForget(this.#note, 0, shard, entry, expectedSeq)) return false;
    return this.#reader.holds(shard.words, entry);
  }

  /** Queues the note; a promise where it has to wait for room. */
  #queue(batch: Batch): Promise<void> | undefined {
    if (this.#options.bulk.room() === 0) return this.#queueLater(batch);
    if (this.#goesOn) {
      this.#options.bulk.claimReceipt(batch, (slots, index) =>
        copySlots(this.#note, NO_WRAP, 0, slots, NO_WRAP, index, 1),
      );
    }
    return undefined;
  }

  async #queueLater(batch: Batch): Promise<void> {
    const { bulk } = this.#options;
    bulk.publish();
    while (bulk.room() === 0 && this.#goesOn && !batch.hasFailed) await bulk.whenRoom(batch, true);
    if (!batch.hasFailed) await this.#queue(batch);
  }

  async #settle(batch: Batch): Promise<void> {
    const { bulk } = this.#options;
    bulk.publish();
    await bulk.whenSettled(batch);
    if (batch.hasFailed) throw new Error('notes were not settled in time');
  }

  /** Raises the bound up to which places may be freed, as far as it goes; helps where room is needed soon. */
  async #free(): Promise<void> {
    const { watermark, decisionsApplied, sinks, ...options } = this.#options;
    await decisionsApplied();
    const forgottenUntil = watermark.seq;
    // From here on, what is decided about room sees all that was forgotten up to there.
    await decisionsApplied();
    const wanted = Math.min(forgottenUntil, sinks.flushedSeq);
    if (this.#isRoomNeeded) {
      // Each part twice.
      for (let round = 0; round < 2; round++) {
        if (options.checkpoints.twiceCoveredSeq > wanted || !this.#goesOn) break;
        await this.#moveOn();
        // At full speed where new products are about to be refused: that is worse than a slower answer.
        if (!this.#goesOn || !(await options.checkpoints.runRound(!this.#isNearlyFull))) break;
      }
    }
    const until = Math.min(wanted, options.checkpoints.twiceCoveredSeq - 1);
    if (until <= this.#bounds.sweepUntil) return;
    sinks.freeUntil(until);
    this.#bounds.sweepUntil = until;
    // After the bound: who is woken by it, or reads it later, finds it.
    Atomics.add(options.commitCursors, COMMIT_DOORBELL, 1);
    Atomics.notify(options.commitCursors, COMMIT_DOORBELL);
  }

  get #isRoomNeeded(): boolean {
    return this.#waiting >= this.#options.productsMax * WAITING_SHARE || this.#isNearlyFull;
  }

  get #isNearlyFull(): boolean {
    const { threshold } = this.#options.limits;
    return this.#fill >= threshold + (1 - threshold) * NEARLY_FULL;
  }

  /** A part is written anew only if something came since: a note that changes nothing will do. */
  async #moveOn(): Promise<void> {
    const found = this.#someForgotten;
    if (found === undefined || !this.#prepare(found, NEVER_SEQ)) return;
    const batch = new Batch();
    await this.#queue(batch);
    await this.#settle(batch);
  }
}
