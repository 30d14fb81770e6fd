/**
 * Applies one event to the shards of one applier: the merge rule and the writer's side of the
 * seqlock. Runs in the applier's thread only, which owns these shards.
 *
 * The story of a death in here (a thread may die between any two statements and is replaced by one
 * that calls `undo` and then applies the same slot again):
 *  1. The undo record is filled; the cursor of its slot is written last and makes it valid. It
 *     stays valid until the applier publishes a cursor behind it, which needs no second store.
 *  2. An existing entry: version odd → state words → version even. Dead in between: the record
 *     holds the old state, `undo` puts it back. Dead after: the entry's seq says it was applied.
 *  3. A new entry: written at position `used`, which nobody can see; then used + 1, then the cell.
 *     Dead before the cell: `undo` puts `used` back. Dead after: it was applied.
 *  4. The reservation is released last, and `undo` puts its count back, because the slot is about
 *     to be applied again and will release it then. So every slot releases exactly once.
 *  5. A place that is freed or taken again has a record of its own: shard-places.ts.
 *
 * The merge rule: each field is taken unless it stands with a later event time. An event that has none
 * of its own (ARRIVAL_TIME) is always taken, and its field then has the later of its arrival and the
 * time that stood there: so a field never goes back in event time, and the order of such events is that
 * of the log, whatever clocks did. Both follow from slots and seqs alone, the same at every replay.
 * (Over 300 lines, because every write and what undoes it have to be read together.)
 */
import assert from 'node:assert/strict';
import {
  EXPECTED_ANY,
  EXPECTED_UNLISTED,
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  FLAG_RESERVED,
  ID_WORDS,
  KIND_BATCH_RECEIPT,
  KIND_FORGET,
  metaIdBytes,
  metaKind,
  metaReservedBy,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_SEQ,
  SLOT_STOCK,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import {
  ENTRY_HASH,
  ENTRY_ID,
  ENTRY_ID_LENGTH_SHIFT,
  ENTRY_META,
  ENTRY_PRICE,
  ENTRY_PRICE_AT,
  ENTRY_SEQ,
  ENTRY_STATE_FIRST,
  ENTRY_STATE_WORDS,
  ENTRY_STOCK,
  ENTRY_STOCK_AT,
  ENTRY_UPDATED_AT,
  ENTRY_VERSION,
  ENTRY_WORDS,
  SHARD_CERTAIN,
  SHARD_FREE,
  SHARD_RELEASED,
  SHARD_USED,
  type Shard,
  shardOf,
} from './shard.ts';
import { BLANK_STATE, ShardPlaces } from './shard-places.ts';

/**
 * The undo record, 128 bytes of shared memory for each applier:
 *   word 0 phase · 1 shard · 2 entry word · 3 cell word · 4 used · 5 released · 6 cursor · 7 word of released
 *   8, 9 a place that changes hands (shard-places.ts)
 *   16–27 entry state
 * Only the applier's thread writes it; its successor reads it. Plain accesses: one thread at a time.
 */
export const UNDO_BYTES = 128;
const UNDO_PHASE = 0;
const UNDO_SHARD = 1;
const UNDO_ENTRY = 2;
const UNDO_CELL = 3;
const UNDO_USED = 4;
const UNDO_RELEASED = 5;
const UNDO_CURSOR = 6;
const UNDO_RELEASED_AT = 7;
const UNDO_PLACE_SHARD = 8;
const UNDO_PLACE_ENTRY = 9;
const UNDO_STATE = 16;

/** As the memory starts: no record yet. */
const PHASE_NONE = 0;
const PHASE_EXISTING = 1;
const PHASE_NEW = 2;
/** Nothing in the shard is touched but the count of reservations. */
const PHASE_RELEASING = 3;

/**
 * - `applied`: at least one field was taken, perhaps by the thread before, which died since.
 * - `stale`: every field it carries is older (in event time) than what stands; nothing changed.
 * - `refused`: its condition on the product's seq did not hold; nothing changed.
 * - `overtaken`: the entry came from a checkpoint and holds a later event; what became of this one
 *   was decided before.
 * - `receipt`: it is no event, but a batch's receipt (dedupe/batch-receipt.ts).
 * - `forgotten`: it is no event; from here on the product is as if it had never been.
 * - `kept`: it would have been that, but the product has changed since, or is not there.
 * - `no-room`: a new product and no entry left. Admission makes this impossible for events taken in
 *   here; the event is another instance's, or at a replay the store was made smaller than the data.
 */
export type ApplyResult =
  | 'applied'
  | 'stale'
  | 'refused'
  | 'overtaken'
  | 'receipt'
  | 'forgotten'
  | 'kept'
  | 'no-room';

/** Finds a place that may be freed, in a shard that is full; `undefined` if there is none. For a replay. */
export type FindFree = (shardIndex: number, seq: number) => number | undefined;

/** Slots that are prefetched together: enough for all misses that a core can have in flight. */
export const PREFETCH_SLOTS = 32;

assert.ok((UNDO_STATE + ENTRY_STATE_WORDS) * 4 <= UNDO_BYTES);

export class ShardWriter {
  readonly #shards: readonly Shard[];
  readonly #slots: SlotViews;
  readonly #undo: Int32Array;
  /** Commit time on its way into 32-bit words. */
  readonly #time = new Float64Array(1);
  readonly #timeWords = new Int32Array(this.#time.buffer);
  /** Which of the shard's words counts the reservation of the slot at hand. */
  #releasedAt = SHARD_RELEASED;
  readonly #prefetched = new Int32Array(PREFETCH_SLOTS);
  readonly #findFree: FindFree;
  /** Frees places between slots. */
  readonly places: ShardPlaces;

  /** `undo` is this applier's record (UNDO_BYTES / 4 words), zeroed before its first start. */
  constructor(
    shards: readonly Shard[],
    slots: SlotViews,
    undo: Int32Array,
    findFree: FindFree = () => undefined,
  ) {
    this.#shards = shards;
    this.#slots = slots;
    this.#undo = undo;
    this.#findFree = findFree;
    this.places = new ShardPlaces(shards, undo, UNDO_PLACE_SHARD, UNDO_PLACE_ENTRY);
  }

  /**
   * Applies the slot at `index`, which stands at `cursor` of the commit ring and was committed at
   * `commitTimeMs`. The slot's shard must be owned.
   */
  apply(cursor: number, index: number, commitTimeMs: number): ApplyResult {
    const slotWords = this.#slots.words;
    const slotDoubles = this.#slots.doubles;
    const w = index * SLOT_WORDS;
    const d = index * SLOT_DOUBLES;
    const hash = slotWords[w + SLOT_HASH];
    const meta = slotWords[w + SLOT_META];
    if (meta === KIND_BATCH_RECEIPT) return 'receipt';
    const shardIndex = shardOf(hash, this.#shards.length);
    const shard = this.#shards[shardIndex];
    this.#time[0] = commitTimeMs;
    this.#releasedAt = SHARD_RELEASED + metaReservedBy(meta);

    const found = shard.findAsOwner(slotWords, w + SLOT_ID, metaIdBytes(meta), hash);
    const entrySeq = found >= 0 ? shard.doubles[(found + ENTRY_SEQ) >> 1] : 0;
    const seq = slotDoubles[d + SLOT_SEQ];
    let result: ApplyResult;
    if (entrySeq >= seq) {
      result = entrySeq === seq ? 'applied' : 'overtaken';
      if (entrySeq === seq && metaKind(meta) === KIND_FORGET) result = 'forgotten';
    } else if (metaKind(meta) === KIND_FORGET) {
      result = this.#forget(cursor, shard, shardIndex, found, w);
    } else if (!this.#holds(shard, found, entrySeq, d)) {
      result = 'refused';
    } else if (found >= 0) {
      const entry = found >> 1;
      const at = slotDoubles[d + SLOT_OCCURRED_AT];
      // Without a time of its own it is "now, after whatever came before": later than any field.
      const isArrival = (meta & FLAG_ARRIVAL_TIME) !== 0;
      // An equal time wins: the later seq is the newer word about the same moment.
      const setsPrice =
        (meta & FLAG_HAS_PRICE) !== 0 &&
        (isArrival || at >= shard.doubles[entry + (ENTRY_PRICE_AT >> 1)]);
      const setsStock =
        (meta & FLAG_HAS_STOCK) !== 0 &&
        (isArrival || at >= shard.doubles[entry + (ENTRY_STOCK_AT >> 1)]);
      if (setsPrice || setsStock) {
        this.#overwrite(cursor, shard, shardIndex, found, w, setsPrice, setsStock);
        result = 'applied';
      } else {
        result = 'stale';
      }
    } else if (shard.words[SHARD_FREE] > 0) {
      this.#take(shard, shardIndex, -1 - found, w, meta);
      result = 'applied';
    } else if (shard.words[SHARD_USED] < shard.entries) {
      this.#insert(cursor, shard, shardIndex, -1 - found, w, meta);
      result = 'applied';
    } else {
      const place = this.#findFree(shardIndex, seq);
      if (place === undefined) result = 'no-room';
      else {
        this.places.free(shardIndex, place);
        // Cells have moved: once more, with a place.
        return this.apply(cursor, index, commitTimeMs);
      }
    }
    if (meta & FLAG_RESERVED) this.#release(cursor, shard, shardIndex);
    return result;
  }

  /**
   * Brings what `apply` will read of these slots into the core's caches. Their misses overlap, while
   * those of `apply` come one after the other: the cell, the entry, the id. Changes nothing.
   */
  prefetch(indexes: Int32Array, count: number): void {
    const { words } = this.#slots;
    const found = this.#prefetched;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const w = indexes[i] * SLOT_WORDS;
      const hash = words[w + SLOT_HASH];
      const shard = this.#shards[shardOf(hash, this.#shards.length)];
      found[i] = shard.words[shard.cellsAt + (hash & (shard.cells - 1))];
      sum ^= words[w + SLOT_ID];
    }
    for (let i = 0; i < count; i++) {
      const cell = found[i];
      if (cell === 0) continue;
      const hash = words[indexes[i] * SLOT_WORDS + SLOT_HASH];
      const shard = this.#shards[shardOf(hash, this.#shards.length)];
      const entry = shard.entryOf(cell);
      sum ^= shard.words[entry + ENTRY_HASH] ^ shard.words[entry + ENTRY_ID];
    }
    // Stored, so that the compiler can't leave the reads out.
    found[0] = sum;
  }

  /** Whether the condition of the slot at double `d` holds for the entry at word `found` (< 0: none). */
  #holds(shard: Shard, found: number, entrySeq: number, d: number): boolean {
    const expected = this.#slots.doubles[d + SLOT_EXPECTED_SEQ];
    if (expected === 0) return true;
    if (found < 0) return expected === EXPECTED_UNLISTED;
    const price = shard.doubles[(found + ENTRY_PRICE) >> 1];
    const stock = shard.doubles[(found + ENTRY_STOCK) >> 1];
    const isListed = !Number.isNaN(price) || !Number.isNaN(stock);
    if (expected === EXPECTED_UNLISTED) return !isListed;
    return isListed && (expected === EXPECTED_ANY || expected === entrySeq);
  }

  /**
   * Brings the shards back to where the slot that the predecessor died on was not yet applied.
   * `cursor` is the one it published last: a record for an earlier slot is done with. That slot is
   * less than a ring ahead; the sign alone would take a record of 2^31 slots ago for one to come.
   */
  undo(cursor: number): void {
    this.places.repair();
    const undo = this.#undo;
    const phase = undo[UNDO_PHASE];
    const ahead = (undo[UNDO_CURSOR] - cursor) | 0;
    const slots = this.#slots.words.length / SLOT_WORDS;
    if (phase === PHASE_NONE || ahead < 0 || ahead >= slots) return;
    const shard = this.#shards[undo[UNDO_SHARD]];
    const { words } = shard;
    const entry = undo[UNDO_ENTRY];
    if (phase === PHASE_EXISTING) {
      const version = Atomics.load(words, entry + ENTRY_VERSION);
      if (version & 1) {
        for (let i = 0; i < ENTRY_STATE_WORDS; i++) {
          Atomics.store(words, entry + ENTRY_STATE_FIRST + i, undo[UNDO_STATE + i]);
        }
        Atomics.store(words, entry + ENTRY_VERSION, (version + 1) | 0);
      }
    } else if (phase === PHASE_NEW) {
      if (Atomics.load(words, undo[UNDO_CELL]) === 0) {
        Atomics.store(words, SHARD_USED, undo[UNDO_USED]);
      }
      Atomics.store(words, SHARD_CERTAIN, words[SHARD_USED]);
    }
    Atomics.store(words, undo[UNDO_RELEASED_AT], undo[UNDO_RELEASED]);
    undo[UNDO_PHASE] = PHASE_NONE;
  }

  /** Gives back the reservation of a slot that will never be applied (its event is dead). */
  releaseOnly(cursor: number, index: number): void {
    const slotWords = this.#slots.words;
    const w = index * SLOT_WORDS;
    const meta = slotWords[w + SLOT_META];
    if ((meta & FLAG_RESERVED) === 0) return;
    this.#releasedAt = SHARD_RELEASED + metaReservedBy(meta);
    const shardIndex = shardOf(slotWords[w + SLOT_HASH], this.#shards.length);
    this.#release(cursor, this.#shards[shardIndex], shardIndex);
  }

  #overwrite(
    cursor: number,
    shard: Shard,
    shardIndex: number,
    entry: number,
    slot: number,
    setsPrice: boolean,
    setsStock: boolean,
  ): void {
    const { words } = shard;
    this.#keep(cursor, shard, shardIndex, entry);
    // Pairs with the reader's two loads of the version around its loads of the state.
    const version = words[entry + ENTRY_VERSION];
    Atomics.store(words, entry + ENTRY_VERSION, (version + 1) | 0);
    this.#storeState(shard, entry, slot, setsPrice, setsStock);
    Atomics.store(words, entry + ENTRY_VERSION, (version + 2) | 0);
  }

  /** Sets the product back to what never was, if it is as it was when that was asked for. */
  #forget(
    cursor: number,
    shard: Shard,
    shardIndex: number,
    found: number,
    slot: number,
  ): 'forgotten' | 'kept' {
    if (found < 0) return 'kept';
    const { words, doubles } = shard;
    const entry = found >> 1;
    const isListed =
      !Number.isNaN(doubles[entry + (ENTRY_PRICE >> 1)]) ||
      !Number.isNaN(doubles[entry + (ENTRY_STOCK >> 1)]);
    const expected = this.#slots.doubles[(slot >> 1) + SLOT_EXPECTED_SEQ];
    if (isListed || doubles[entry + (ENTRY_SEQ >> 1)] !== expected) return 'kept';
    this.#keep(cursor, shard, shardIndex, found);
    const version = words[found + ENTRY_VERSION];
    Atomics.store(words, found + ENTRY_VERSION, (version + 1) | 0);
    for (let i = 0; i < ENTRY_STATE_WORDS; i += 2) {
      storePair(words, found + ENTRY_STATE_FIRST + i, BLANK_STATE, i);
    }
    // So that a replay knows that all before it is in this state.
    storePair(words, found + ENTRY_SEQ, this.#slots.words, slot + SLOT_SEQ * 2);
    storePair(words, found + ENTRY_UPDATED_AT, this.#timeWords, 0);
    Atomics.store(words, found + ENTRY_VERSION, (version + 2) | 0);
    return 'forgotten';
  }

  /** Gives a free place to the slot's product. */
  #take(shard: Shard, shardIndex: number, cell: number, slot: number, meta: number): void {
    const { words } = shard;
    const slotWords = this.#slots.words;
    this.places.take(shardIndex, cell, (entry) => {
      Atomics.store(words, entry + ENTRY_HASH, slotWords[slot + SLOT_HASH]);
      Atomics.store(words, entry + ENTRY_META, metaIdBytes(meta) << ENTRY_ID_LENGTH_SHIFT);
      for (let i = 0; i < ID_WORDS; i++) {
        Atomics.store(words, entry + ENTRY_ID + i, slotWords[slot + SLOT_ID + i]);
      }
      const setsPrice = (meta & FLAG_HAS_PRICE) !== 0;
      this.#storeState(shard, entry, slot, setsPrice, (meta & FLAG_HAS_STOCK) !== 0);
    });
  }

  /** Notes in the undo record what the entry at word `entry` is now. */
  #keep(cursor: number, { words }: Shard, shardIndex: number, entry: number): void {
    const undo = this.#undo;
    undo[UNDO_SHARD] = shardIndex;
    undo[UNDO_ENTRY] = entry;
    this.#keepReleased(words);
    for (let i = 0; i < ENTRY_STATE_WORDS; i++) {
      undo[UNDO_STATE + i] = words[entry + ENTRY_STATE_FIRST + i];
    }
    undo[UNDO_PHASE] = PHASE_EXISTING;
    undo[UNDO_CURSOR] = cursor;
  }

  #insert(
    cursor: number,
    shard: Shard,
    shardIndex: number,
    cell: number,
    slot: number,
    meta: number,
  ): void {
    const { words, doubles } = shard;
    const slotWords = this.#slots.words;
    const undo = this.#undo;
    const used = words[SHARD_USED];
    const entry = shard.entriesAt + used * ENTRY_WORDS;
    undo[UNDO_SHARD] = shardIndex;
    undo[UNDO_ENTRY] = entry;
    undo[UNDO_CELL] = cell;
    undo[UNDO_USED] = used;
    this.#keepReleased(words);
    undo[UNDO_PHASE] = PHASE_NEW;
    undo[UNDO_CURSOR] = cursor;

    words[entry + ENTRY_HASH] = slotWords[slot + SLOT_HASH];
    words[entry + ENTRY_META] = metaIdBytes(meta) << ENTRY_ID_LENGTH_SHIFT;
    for (let i = 0; i < ID_WORDS; i++) {
      words[entry + ENTRY_ID + i] = slotWords[slot + SLOT_ID + i];
    }
    const pair = entry >> 1;
    doubles[pair + (ENTRY_PRICE >> 1)] = Number.NaN;
    doubles[pair + (ENTRY_PRICE_AT >> 1)] = Number.NEGATIVE_INFINITY;
    doubles[pair + (ENTRY_STOCK >> 1)] = Number.NaN;
    doubles[pair + (ENTRY_STOCK_AT >> 1)] = Number.NEGATIVE_INFINITY;
    this.#storeState(
      shard,
      entry,
      slot,
      (meta & FLAG_HAS_PRICE) !== 0,
      (meta & FLAG_HAS_STOCK) !== 0,
    );
    // Before the cell: the admission must never see the product known and its room still free.
    Atomics.store(words, SHARD_USED, used + 1);
    // Pairs with the Atomics.load of the cell in Shard.find.
    Atomics.store(words, cell, used + 1);
    Atomics.store(words, SHARD_CERTAIN, used + 1);
  }

  #storeState(
    { words, doubles }: Shard,
    entry: number,
    slot: number,
    setsPrice: boolean,
    setsStock: boolean,
  ): void {
    const from = this.#slots.words;
    const at = slot + SLOT_OCCURRED_AT * 2;
    const isArrival = (from[slot + SLOT_META] & FLAG_ARRIVAL_TIME) !== 0;
    storePair(words, entry + ENTRY_SEQ, from, slot + SLOT_SEQ * 2);
    // A field's time never goes back: one that an arrival follows stays where that is earlier.
    if (setsPrice) {
      storePair(words, entry + ENTRY_PRICE, from, slot + SLOT_PRICE * 2);
      if (!isArrival || this.#isLater(slot, doubles, entry + ENTRY_PRICE_AT)) {
        storePair(words, entry + ENTRY_PRICE_AT, from, at);
      }
    }
    if (setsStock) {
      storePair(words, entry + ENTRY_STOCK, from, slot + SLOT_STOCK * 2);
      if (!isArrival || this.#isLater(slot, doubles, entry + ENTRY_STOCK_AT)) {
        storePair(words, entry + ENTRY_STOCK_AT, from, at);
      }
    }
    storePair(words, entry + ENTRY_UPDATED_AT, this.#timeWords, 0);
  }

  /** Whether the slot's time is later than the field's at word `fieldAt`. */
  #isLater(slot: number, doubles: Float64Array, fieldAt: number): boolean {
    const at = this.#slots.doubles[(slot >> 1) + SLOT_OCCURRED_AT];
    return at > doubles[fieldAt >> 1];
  }

  /** Counts one settled reservation. Pairs with the admission's load: released first, then used. */
  #release(cursor: number, shard: Shard, shardIndex: number): void {
    const undo = this.#undo;
    const released = shard.words[this.#releasedAt];
    if (undo[UNDO_PHASE] === PHASE_NONE || undo[UNDO_CURSOR] !== cursor) {
      undo[UNDO_SHARD] = shardIndex;
      this.#keepReleased(shard.words);
      undo[UNDO_PHASE] = PHASE_RELEASING;
      undo[UNDO_CURSOR] = cursor;
    }
    Atomics.store(shard.words, this.#releasedAt, (released + 1) | 0);
  }

  /** Notes in the undo record what is counted as released. */
  #keepReleased(words: Int32Array): void {
    this.#undo[UNDO_RELEASED_AT] = this.#releasedAt;
    this.#undo[UNDO_RELEASED] = words[this.#releasedAt];
  }
}

/**
 * Stores a double's two words for the readers. Only what changes: an Atomics.store is a call and a
 * full barrier, and half of the words are mostly the same as before. Only the owner writes here.
 */
function storePair(words: Int32Array, to: number, from: Int32Array, at: number): void {
  const low = from[at];
  const high = from[at + 1];
  if (words[to] !== low) Atomics.store(words, to, low);
  if (words[to + 1] !== high) Atomics.store(words, to + 1, high);
}
