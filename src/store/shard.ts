/**
 * A shard of the product store: one SharedArrayBuffer with an open-addressing index and entries.
 * One applier owns it and writes, after shard-restorer.ts has; every other thread reads. Entries are
 * never moved. The place of one whose product is forgotten is freed and given to another product: who
 * reads an entry proves by its version that it was one product's all the time (shard-places.ts).
 *
 *   byte   0  used      u32  entries in use; the owner writes
 *          4  certain   u32  of these, whose cells are stored: nobody takes them back; the owner writes
 *          8  cells     u32  index cells, a power of two; fixed
 *         12  entries   u32  room for entries, ≤ half the cells; fixed
 *         16  free      u32  places before `used` that hold no product; the owner writes
 *         20  first     u32  the first of these + 1, 0 = none; the owner's alone
 *         24  index version  i32  odd while the owner moves cells: what is not found then is to be looked
 *                            for again; 0 = none was ever freed
 *         32  released  i32  for each producer: its reservations that were settled here; the owner writes
 *        128  index     cells × u32: 0 = vacant, else entry number + 1
 *        …    entries   entries × 128 bytes
 *
 * An entry:
 *   byte   0  version    i32  seqlock: odd while the owner writes; goes on when the place is freed
 *          4  hash       u32  of the id under the data folder's key                   (fixed)
 *          8  seq        f64  of the event that last changed the product              (mutable)
 *         16  price      f64, NaN = absent ·  24 price_at f64 ms, −Infinity = never set (mutable)
 *         32  stock      f64, NaN = absent ·  40 stock_at f64 ms, −Infinity = never set (mutable)
 *         48  updated_at f64  commit time of that event, ms                           (mutable)
 *         56  meta       u32  id length in bytes (24–31)                             (fixed)
 *         60  next free  u32  of a free place: the next one + 1, 0 = none; else 0
 *         64  id         64 B UTF-8, zero-padded                                      (fixed)
 * A field is absent until an event sets it, and again once a delete does: both keep the time. The
 * product is listed unless both are absent; an entry that is not stays, as a tombstone, so that an
 * older event can't bring the product back. Where neither time was ever set, the product is forgotten:
 * to any event it is as if it had never been. A free place is the same, without an id and with seq 0.
 * Fixed words are written before the entry's cell is stored; after it only while the version is odd.
 */
import assert from 'node:assert/strict';
import { ID_WORDS, PRODUCERS_MAX } from '../ring/slot.ts';

export const SHARD_USED = 0;
export const SHARD_CERTAIN = 1;
const SHARD_CELLS = 2;
const SHARD_ENTRIES = 3;
export const SHARD_FREE = 4;
export const SHARD_FREE_FIRST = 5;
export const SHARD_INDEX_VERSION = 6;
/** That of producer 0; those of the others follow. */
export const SHARD_RELEASED = 8;
const SHARD_HEADER_BYTES = 128;

export const ENTRY_BYTES = 128;
export const ENTRY_WORDS = ENTRY_BYTES / 4;

/** Offsets in 32-bit words from the start of the entry; a double takes two. */
export const ENTRY_VERSION = 0;
export const ENTRY_HASH = 1;
export const ENTRY_SEQ = 2;
export const ENTRY_PRICE = 4;
export const ENTRY_PRICE_AT = 6;
export const ENTRY_STOCK = 8;
export const ENTRY_STOCK_AT = 10;
export const ENTRY_UPDATED_AT = 12;
export const ENTRY_META = 14;
export const ENTRY_NEXT_FREE = 15;
export const ENTRY_ID = 16;

/** The words between them are what a seqlock read copies and an undo record keeps. */
export const ENTRY_STATE_FIRST = ENTRY_SEQ;
export const ENTRY_STATE_WORDS = ENTRY_META - ENTRY_STATE_FIRST;

export const ENTRY_ID_LENGTH_SHIFT = 24;

/** The owner was moving cells through all tries: look again on a later turn. Below every other answer. */
export const FIND_BUSY = Number.NEGATIVE_INFINITY;
const FIND_TRIES = 100;

assert.equal((ENTRY_ID + ID_WORDS) * 4, ENTRY_BYTES);
assert.equal(ENTRY_STATE_WORDS, 12);
assert.equal(SHARD_HEADER_BYTES % ENTRY_BYTES, 0);
assert.ok((SHARD_RELEASED + PRODUCERS_MAX) * 4 <= SHARD_HEADER_BYTES);

/** How many cells and entries one shard of a given size has. */
export interface ShardSize {
  readonly cells: number;
  readonly entries: number;
}

/** The most entries that fit into `bytes` together with an index at ≤ 50 % load. */
export function shardSize(bytes: number): ShardSize {
  let best: ShardSize = { cells: 2, entries: 0 };
  for (let cells = 2; SHARD_HEADER_BYTES + cells * 4 < bytes; cells *= 2) {
    const room = Math.floor((bytes - SHARD_HEADER_BYTES - cells * 4) / ENTRY_BYTES);
    const entries = Math.min(cells / 2, room);
    if (entries > best.entries) best = { cells, entries };
  }
  return best;
}

/** Which of `shards` shards (≤ 65,536) a hash belongs to; uses the bits that the index uses last. */
export function shardOf(hash: number, shards: number): number {
  return shardOfRoute(hash >>> 16, shards);
}

/** The same by the upper half of the hash. */
export function shardOfRoute(route: number, shards: number): number {
  return (route * shards) >>> 16;
}

export class Shard {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly cells: number;
  /** Room for entries. */
  readonly entries: number;
  /** Word offset of the first index cell. */
  readonly cellsAt: number;
  /** Word offset of the first entry. */
  readonly entriesAt: number;

  /** Views a shard made by `create`, in any thread. */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.cells = this.words[SHARD_CELLS];
    this.entries = this.words[SHARD_ENTRIES];
    this.cellsAt = SHARD_HEADER_BYTES / 4;
    // Cells are a power of two; fewer than 32 of them would leave the entries misaligned.
    this.entriesAt = this.cellsAt + Math.max(this.cells, ENTRY_WORDS);
  }

  /** What a shard of this size takes. */
  static bytes({ cells, entries }: ShardSize): number {
    return SHARD_HEADER_BYTES + Math.max(cells * 4, ENTRY_BYTES) + entries * ENTRY_BYTES;
  }

  static create(size: ShardSize): Shard {
    const buffer = new SharedArrayBuffer(Shard.bytes(size));
    const header = new Int32Array(buffer);
    header[SHARD_CELLS] = size.cells;
    header[SHARD_ENTRIES] = size.entries;
    return new Shard(buffer);
  }

  /**
   * Finds the product whose id is the `idBytes` bytes at word `at` of `id` (zero-padded).
   * Returns the word offset of its entry, or −1 − the word offset of the vacant cell where it
   * would go, or FIND_BUSY. Any thread; a probe ends because at least half of the cells are vacant. Whoever
   * reads the entry proves by its version that it is this product's still.
   */
  find(id: Int32Array, at: number, idBytes: number, hash: number): number {
    const { words, cellsAt } = this;
    const mask = this.cells - 1;
    for (let tries = 0; tries < FIND_TRIES; tries++) {
      // Pairs with the owner's two stores around its moves of cells: one of them may be missed meanwhile.
      const version = Atomics.load(words, SHARD_INDEX_VERSION);
      let probe = hash & mask;
      for (let probes = 0; probes < this.cells; probes++, probe = (probe + 1) & mask) {
        // Pairs with the owner's Atomics.store of the cell, after the entry's fixed words.
        const cell = Atomics.load(words, cellsAt + probe);
        if (cell === 0) break;
        const entry = this.entryOf(cell);
        if (this.hasId(entry, id, at, idBytes, hash)) return entry;
      }
      const isStill = Atomics.load(words, SHARD_INDEX_VERSION) === version;
      if (isStill && (version & 1) === 0) return -1 - (cellsAt + probe);
    }
    return FIND_BUSY;
  }

  /** The same in the owner's thread: nobody else writes the cells, so they can be read plainly. */
  findAsOwner(id: Int32Array, at: number, idBytes: number, hash: number): number {
    const { words, cellsAt } = this;
    const mask = this.cells - 1;
    for (let probe = hash & mask; ; probe = (probe + 1) & mask) {
      const cell = words[cellsAt + probe];
      if (cell === 0) return -1 - (cellsAt + probe);
      const entry = this.entryOf(cell);
      if (this.hasId(entry, id, at, idBytes, hash)) return entry;
    }
  }

  /**
   * How many entries nobody will take back; shard-walk.ts says why the newest one may not be of them. It asks
   * nothing of the index, which a successor may be making anew. Any thread.
   */
  get certainEntries(): number {
    // Pairs with the owner's Atomics.store, after the cell of the newest one.
    return Atomics.load(this.words, SHARD_CERTAIN);
  }

  /** Word offset of the entry that a cell which is not vacant points at. */
  entryOf(cell: number): number {
    return this.entriesAt + (cell - 1) * ENTRY_WORDS;
  }

  /** Places that hold a product, forgotten ones too. Any thread. */
  get taken(): number {
    // In this order: a place that is freed between the two counts as taken, never less than none.
    const free = Atomics.load(this.words, SHARD_FREE);
    return Atomics.load(this.words, SHARD_USED) - free;
  }

  /** Reservations of the first `producers` producers that were settled here, modulo 2^32. Any thread. */
  released(producers: number): number {
    let released = 0;
    for (let i = 0; i < producers; i++) {
      released = (released + Atomics.load(this.words, SHARD_RELEASED + i)) | 0;
    }
    return released;
  }

  /** Whether a place was ever freed here; while none was, an entry that was found is its product's for good. */
  get hasFreed(): boolean {
    // Pairs with the owner's Atomics.store before the first entry loses its id.
    return Atomics.load(this.words, SHARD_INDEX_VERSION) !== 0;
  }

  /** Whether the entry at word `entry` is this product's, as far as nobody writes to it meanwhile. */
  hasId(entry: number, id: Int32Array, at: number, idBytes: number, hash: number): boolean {
    const { words } = this;
    if (words[entry + ENTRY_HASH] !== hash) return false;
    if (words[entry + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT !== idBytes) return false;
    const idWords = (idBytes + 3) >> 2;
    for (let i = 0; i < idWords; i++) {
      if (words[entry + ENTRY_ID + i] !== id[at + i]) return false;
    }
    return true;
  }
}
