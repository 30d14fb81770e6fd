/**
 * One process's memory with the real store in it, all in this thread: the commit ring, an applier
 * that works when told to, the shards; and the way back into it, which notes what it is given.
 * Tests only.
 */
import assert from 'node:assert/strict';
import { OUTCOME_OF } from '../../src/apply/applier.ts';
import { DeadSeqs } from '../../src/apply/dead-seqs.ts';
import type { EntriesVisitor } from '../../src/checkpoint/reader.ts';
import type { ImageTarget } from '../../src/checkpoint/restore.ts';
import { DedupeWindow } from '../../src/dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../../src/dedupe/receipt-window.ts';
import { SlotAdmission } from '../../src/intake/slot-admission.ts';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import type { FileSystem } from '../../src/log/file-system.ts';
import type { CheckedFrame } from '../../src/log/format.ts';
import { LogHolds } from '../../src/log/log-holds.ts';
import type { LogTail } from '../../src/log/sequencer.ts';
import { createThreadCounters } from '../../src/metrics/thread-counters.ts';
import { OUTCOME_UNKNOWN, OutcomeWindow } from '../../src/outcome/outcome-window.ts';
import { type RecoverySink, recover } from '../../src/recovery/recovery.ts';
import { Replay } from '../../src/recovery/replay.ts';
import { COMMIT_HEAD, CommitRing, commitCursor } from '../../src/ring/commit-ring.ts';
import { IntakeRing, type IntakeRings } from '../../src/ring/intake-ring.ts';
import { PROGRESS_BYTES } from '../../src/ring/progress.ts';
import { describeSlot, SLOT_DOUBLES, SLOT_SEQ, type SlotViews } from '../../src/ring/slot.ts';
import { Admission } from '../../src/store/admission.ts';
import { FreeingBounds } from '../../src/store/freeing-bounds.ts';
import { PlaceSweep, ReplayPlaces } from '../../src/store/place-sweep.ts';
import { RestoreBoard } from '../../src/store/restore-board.ts';
import { RestoredBefore } from '../../src/store/restored-before.ts';
import { ENTRY_WORDS, SHARD_USED, Shard, shardOfRoute, shardSize } from '../../src/store/shard.ts';
import { isForgotten } from '../../src/store/shard-places.ts';
import { ShardWriter, UNDO_BYTES } from '../../src/store/shard-writer.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import type { HashKey, SharedMemory } from '../../src/threads/shared-memory.ts';
import type { LogThreadMessage } from '../../src/write-path/log-messages.ts';
import { type ProductModel, readProduct } from '../helpers/models/product-model.ts';
import type { Committed } from './expected-log.ts';

export const LOG_FOLDER = '/data/log';
export const CHECKPOINT_FOLDER = '/data/checkpoint';

export interface MemorySize {
  readonly intakeSlots: number;
  readonly dedupeEvents: number;
  readonly batches: number;
  readonly outcomeEvents: number;
  readonly shards: number;
  readonly shardBytes: number;
  /** All the room may be taken, which only the same key and number of shards can hold. */
  readonly isTight?: boolean;
}

/** Small, so that thousands of processes start in a second. */
export const SMALL: MemorySize = {
  intakeSlots: 16,
  dedupeEvents: 32,
  batches: 8,
  outcomeEvents: 32,
  shards: 2,
  shardBytes: 4096,
};

/** The key of a state that is given none. */
export function keyOf(firstCursor: number): HashKey {
  return { k0: firstCursor ^ 0x5bd1e995, k1: 7 };
}

export class RecoveredState implements RecoverySink {
  readonly memory: SharedMemory;
  readonly admission: SlotAdmission;
  /** Places freed by sweeps. */
  freed = 0;
  readonly #freeing: FreeingBounds;
  readonly #sweep: PlaceSweep;
  readonly intakes: IntakeRings;
  readonly dedupe: DedupeWindow;
  readonly receiptWindow: ReceiptWindow;
  readonly outcomeWindow: OutcomeWindow;
  readonly ring: CommitRing;
  readonly store: SharedProductStore;
  /** The log's events that the recovery went through, by seq. */
  readonly events = new Map<number, Committed>();
  readonly told: LogThreadMessage[] = [];
  /** The last frame of the log with events; its first seq. */
  lastFrameSeq = 0;
  replayFrom = 1;
  nextSeq = 0;
  readonly #shards: readonly Shard[];
  readonly #writer: ShardWriter;
  readonly #restored: RestoredBefore;
  #replay: Replay | undefined;

  /** `key`: that of the folder which it will recover from, as a start reads it. */
  constructor(firstCursor: number, size = SMALL, key?: HashKey) {
    const hashKey = key ?? keyOf(firstCursor);
    const shards = Array.from({ length: size.shards }, () =>
      Shard.create(shardSize(size.shardBytes)),
    );
    this.#shards = shards;
    this.intakes = {
      live: IntakeRing.create(size.intakeSlots, firstCursor),
      bulk: IntakeRing.create(size.intakeSlots, firstCursor),
    };
    this.ring = CommitRing.create(2 * size.intakeSlots, 1, firstCursor);
    this.memory = {
      dead: DeadSeqs.create(),
      intake: this.intakes.live.buffer,
      bulk: this.intakes.bulk.buffer,
      commit: this.ring.buffer,
      appliers: [new SharedArrayBuffer(UNDO_BYTES)],
      shards: shards.map((shard) => shard.buffer),
      outcomes: OutcomeWindow.create(size.outcomeEvents),
      dedupe: DedupeWindow.create(size.dedupeEvents, firstCursor, 2 * size.intakeSlots),
      receipts: ReceiptWindow.createFor(size.batches),
      progress: new SharedArrayBuffer(PROGRESS_BYTES),
      holds: LogHolds.create(),
      freeing: FreeingBounds.create(),
      restored: RestoredBefore.create(size.shards),
      board: RestoreBoard.create(size.shards),
      counters: createThreadCounters(1),
      hashKey,
    };
    this.dedupe = new DedupeWindow(this.memory.dedupe, hashKey);
    this.receiptWindow = new ReceiptWindow(this.memory.receipts, hashKey);
    this.#restored = new RestoredBefore(this.memory.restored);
    this.outcomeWindow = new OutcomeWindow(this.memory.outcomes);
    this.store = new SharedProductStore(shards, hashKey);
    const undo = new Int32Array(this.memory.appliers[0]);
    this.#freeing = new FreeingBounds(this.memory.freeing);
    const places = new ReplayPlaces(shards, this.#freeing);
    this.#writer = new ShardWriter(shards, this.ring.slots, undo, (shard, seq) =>
      places.next(shard, seq),
    );
    const all = shards.map((_, shard) => shard);
    this.#sweep = new PlaceSweep(shards, all, this.#freeing, this.#writer.places);
    const shard = shardSize(size.shardBytes);
    // With another key, all of them may be in one shard.
    const productsMax = shard.entries * (size.isTight === true ? size.shards : 1);
    this.admission = new SlotAdmission({
      store: this.store,
      admission: new Admission(shards, { shards: size.shards, shard, productsMax }),
      shards: size.shards,
      hashKey,
    });
  }

  /** Recovers from `files` into this memory. Throws what the recovery throws. */
  recover(files: FileSystem, publisher: CommitPublisher = new Applying(this)): LogTail {
    this.#replay = new Replay(this.intakes.live, publisher, {
      shards: this.#shards,
      hashKey: this.memory.hashKey,
      dedupe: this.dedupe,
      receipts: this.receiptWindow,
      outcomes: this.outcomeWindow,
      freeing: this.#freeing,
      images: { restored: this.#restored, board: new RestoreBoard(this.memory.board) },
    });
    const tail = recover({
      files,
      folder: LOG_FOLDER,
      checkpoints: CHECKPOINT_FOLDER,
      sink: this,
      report: (message) => {
        this.told.push(message);
        if (message.type === 'replayed') this.replayFrom = message.replayFrom;
      },
    });
    this.nextSeq = tail.nextSeq;
    this.#freeing.isReplaying = false;
    return tail;
  }

  get image(): ImageTarget | undefined {
    return this.#replay?.image;
  }

  readonly entries: EntriesVisitor = (entries, first, count) =>
    this.#replay?.entries(entries, first, count);

  keys(entries: Int32Array, count: number): void {
    this.#replay?.keys(entries, count);
  }

  receipts(slots: SlotViews, first: number, count: number): void {
    this.#replay?.receipts(slots, first, count);
  }

  outcomes(firstSeq: number, bytes: Uint8Array, nextSeq: number): void {
    this.#replay?.outcomes(firstSeq, bytes, nextSeq);
  }

  frame(slots: SlotViews, first: number, frame: CheckedFrame, from: number): void {
    this.lastFrameSeq = frame.firstSeq;
    for (let i = 0; i < frame.count; i++) {
      const event = describeSlot(slots, first + i);
      this.events.set(event.seq, { event, commitTimeMs: frame.commitTimeMs });
    }
    this.#replay?.frame(slots, first, frame, from);
  }

  finish(): void {
    this.#replay?.finish();
  }

  /** Frees the places of products that are forgotten up to this seq. */
  sweep(until: number): void {
    if (until > this.#freeing.sweepUntil) this.#freeing.sweepUntil = until;
    for (let freed = this.#sweep.step(); freed >= 0; freed = this.#sweep.step()) {
      this.freed += freed;
    }
  }

  /** The applier applies up to `most` of the slots published. */
  apply(most = Number.POSITIVE_INFINITY): void {
    const { cursors, mask, commitTimes, slots, routes } = this.ring;
    const own = commitCursor(0);
    const head = Atomics.load(cursors, COMMIT_HEAD);
    for (let left = most; left > 0 && cursors[own] !== head; left--) {
      const cursor = cursors[own];
      const index = cursor & mask;
      const seq = slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ];
      if (this.#restored.has(shardOfRoute(routes[index], this.#shards.length), seq)) {
        this.outcomeWindow.store(seq, OUTCOME_UNKNOWN);
      } else {
        const result = this.#writer.apply(cursor, index, commitTimes[index]);
        assert.ok(result !== 'no-room');
        this.outcomeWindow.store(seq, OUTCOME_OF[result]);
      }
      Atomics.store(cursors, own, (cursor + 1) | 0);
    }
  }

  /**
   * Asserts that what became of the last events is known, as far as the window reaches: `expected`
   * has it of all events, seq 1 first. With `mayForget` some may be unknown.
   */
  assertOutcomes(
    expected: readonly ('applied' | 'stale' | 'refused' | 'receipt')[],
    mayForget = false,
  ): void {
    for (let seq = this.nextSeq - 1; seq >= 1; seq--) {
      if (seq + this.outcomeWindow.capacity < this.nextSeq) break;
      const outcome = OUTCOME_OF[expected[seq - 1] as 'applied'];
      const found = this.outcomeWindow.load(seq);
      if (mayForget && found === OUTCOME_UNKNOWN) continue;
      assert.equal(found, outcome, `the outcome of seq ${seq}`);
    }
  }

  /** Asserts that the store holds exactly what `model` does. */
  assertState(model: ProductModel): void {
    for (const [id, product] of model.products) {
      assert.deepEqual(readProduct(this.store, id), product, `product ${id}`);
    }
    let forgotten = 0;
    for (const shard of this.#shards) {
      for (let i = 0; i < shard.words[SHARD_USED]; i++) {
        if (isForgotten(shard, shard.entriesAt + i * ENTRY_WORDS)) forgotten++;
      }
    }
    assert.equal(this.store.size - forgotten, model.products.size, 'products in the store');
  }
}

/** The log thread's publisher; where it would wait for the applier, the applier works. */
export class Applying extends CommitPublisher {
  readonly #state: RecoveredState;

  constructor(state: RecoveredState) {
    super(state.ring);
    this.#state = state;
  }

  override waitForRoom(slots = 1): void {
    if (this.free() < slots) this.#state.apply();
  }

  override waitUntilApplied(): void {
    this.#state.apply();
  }
}
