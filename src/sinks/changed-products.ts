/**
 * Which products changed since a position, without a queue of them: the store itself is the queue. An entry
 * bears the seq of the event that last changed it, so at any time
 *
 *   every product whose state the sink lacks   has   seq > position
 *
 * and the position may be raised to T once all that had a seq from position + 1 to T are written, whatever
 * is written to the store meanwhile: what changes again gets a seq above the applied watermark U ≥ T. So
 * nothing has to be remembered while a sink is down, the log need not reach back to its position, and a new
 * sink (position 0) is nothing special. Two ways to find them, the cheaper one is taken:
 *
 *   follow   the events from position + 1 to U are still in the commit ring: the entries of their ids
 *   scan     else, or where they are more than the store has entries: all entries, by their seq
 *
 * Interleavings, each with a test in test/sinks:
 *  - An event is applied during a scan: its entry has a seq above U, and stays for the next time.
 *  - An applier dies in the middle of an entry, and its successor puts the old state back: a version that is
 *    odd is waited for, because the old state may be one that the sink lacks.
 *  - A product is forgotten (src/cleanup): that is a change of its entry, found and written as any other. Its
 *    place is freed only behind the positions of all sinks; then it has seq 0, and nobody finds it. Who gets
 *    the place comes with a seq of its own.
 *  - The ring is overwritten while it is read: the copy is thrown away, and all entries are scanned.
 *  - More changed than a window holds: T is the highest seq up to which all of them fit.
 *
 * The sink's thread; it reads shared memory only and never blocks its writers.
 */

import { EventBatch } from '../changes/event-batch.ts';
import type { RingHistory } from '../changes/ring-history.ts';
import {
  KIND_BATCH_RECEIPT,
  metaIdBytes,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_WORDS,
} from '../ring/slot.ts';
import {
  ENTRY_SEQ,
  ENTRY_VERSION,
  ENTRY_WORDS,
  FIND_BUSY,
  SHARD_USED,
  type Shard,
  shardOf,
} from '../store/shard.ts';

/** Products found at a time at the most. */
export const WINDOW_PRODUCTS_MAX = 262_144;
/** An event costs this many times what an entry of a scan does (bench/sinks.bench.ts). */
const EVENT_COST = 8;
/** A writer holds an entry for some 100 ns. */
const READ_TRIES = 100;
const BUCKETS = 4096;

/** Found products, by where they are in the store; overwritten by the next search. */
export interface ChangedProducts {
  /** How many. */
  readonly count: number;
  readonly shards: Uint16Array;
  readonly entries: Uint32Array;
  /** Once they are written, the sink has all up to this seq. */
  readonly until: number;
}

/** `busy`: a writer holds an entry; search again on a later turn. */
export type Search = ChangedProducts | 'busy';

export interface ChangedProductsOptions {
  readonly shards: readonly Shard[];
  readonly ring: Pick<RingHistory, 'copy'>;
  /** WINDOW_PRODUCTS_MAX, but in tests. */
  readonly windowMax?: number;
}

export class ChangedProductsSearch {
  readonly #shards: readonly Shard[];
  readonly #ring: Pick<RingHistory, 'copy'>;
  readonly #windowMax: number;
  readonly #batch = new EventBatch();
  readonly #foundShards: Uint16Array;
  readonly #foundEntries: Uint32Array;
  /** A bit for each entry that was found, by shard; all zero between two searches. */
  readonly #marks: readonly Uint32Array[];
  readonly #buckets = new Uint32Array(BUCKETS);
  readonly #seqWords = new Int32Array(2);
  readonly #seq = new Float64Array(this.#seqWords.buffer);
  #count = 0;

  constructor({ shards, ring, windowMax = WINDOW_PRODUCTS_MAX }: ChangedProductsOptions) {
    this.#shards = shards;
    this.#ring = ring;
    this.#windowMax = windowMax;
    this.#foundShards = new Uint16Array(windowMax);
    this.#foundEntries = new Uint32Array(windowMax);
    this.#marks = shards.map(({ entries }) => new Uint32Array((entries + 31) >>> 5));
  }

  /** Finds what changed behind `position` up to `applied` (> position), the applied watermark. */
  find(position: number, applied: number): Search {
    this.#count = 0;
    if ((applied - position) * EVENT_COST < this.#used()) {
      const until = this.#follow(position, applied);
      if (until > position) return this.#found(until);
    }
    return this.#scan(position, applied);
  }

  #used(): number {
    let used = 0;
    for (const { words } of this.#shards) used += Atomics.load(words, SHARD_USED);
    return used;
  }

  #found(until: number): ChangedProducts {
    return {
      count: this.#count,
      shards: this.#foundShards,
      entries: this.#foundEntries,
      until,
    };
  }

  /** Takes the entries of the events behind `position`; returns the last event passed. */
  #follow(position: number, applied: number): number {
    let place = position;
    while (place < applied && this.#count < this.#windowMax) {
      const room = this.#windowMax - this.#count;
      const copied = this.#ring.copy(place + 1, Math.min(applied, place + room), this.#batch);
      if (copied === 0) break;
      let marked = 0;
      while (marked < copied && this.#mark(marked)) marked++;
      place += marked;
      // A writer was moving cells of the index: what is behind is found the next time, or by a scan.
      if (marked < copied) break;
    }
    for (let i = 0; i < this.#count; i++) {
      const entry = this.#foundEntries[i];
      this.#marks[this.#foundShards[i]][entry >>> 5] = 0;
    }
    // What the ring has lost is found by a scan, from where it was lost.
    return place;
  }

  /** False if it is not known where the product is. */
  #mark(index: number): boolean {
    const { words } = this.#batch.slots;
    const w = index * SLOT_WORDS;
    const meta = words[w + SLOT_META];
    if (meta === KIND_BATCH_RECEIPT) return true;
    const hash = words[w + SLOT_HASH];
    const shardIndex = shardOf(hash, this.#shards.length);
    const shard = this.#shards[shardIndex];
    const at = shard.find(words, w + SLOT_ID, metaIdBytes(meta), hash);
    if (at === FIND_BUSY) return false;
    // Refused or dead, so that it made no entry; or forgotten, and its place freed: then the sink has it.
    if (at < 0) return true;
    const entry = (at - shard.entriesAt) / ENTRY_WORDS;
    const marks = this.#marks[shardIndex];
    const bit = 1 << (entry & 31);
    if ((marks[entry >>> 5] & bit) !== 0) return true;
    marks[entry >>> 5] |= bit;
    this.#foundShards[this.#count] = shardIndex;
    this.#foundEntries[this.#count++] = entry;
    return true;
  }

  #scan(position: number, applied: number): Search {
    let until = applied;
    if (applied - position > this.#windowMax) {
      const fitting = this.#fittingSeq(position, applied);
      if (fitting === 'busy') return 'busy';
      until = fitting;
    }
    const isWhole = this.#eachSeq((seq, shard, entry) => {
      if (seq <= position || seq > until) return;
      this.#foundShards[this.#count] = shard;
      this.#foundEntries[this.#count++] = entry;
    });
    return isWhole ? this.#found(until) : 'busy';
  }

  /** The highest of some seqs up to which no more products changed than a window holds. */
  #fittingSeq(position: number, applied: number): number | 'busy' {
    const buckets = this.#buckets.fill(0);
    const width = Math.ceil((applied - position) / BUCKETS);
    const isWhole = this.#eachSeq((seq) => {
      if (seq > position && seq <= applied) buckets[Math.floor((seq - position - 1) / width)]++;
    });
    if (!isWhole) return 'busy';
    let fitting = 0;
    let products = 0;
    for (; fitting < BUCKETS; fitting++) {
      products += buckets[fitting];
      if (products > this.#windowMax) break;
    }
    // A seq is one product's: where a bucket alone is too much, as many seqs as fit.
    const seqs = Math.max(fitting * width, this.#windowMax);
    return Math.min(applied, position + seqs);
  }

  /** Calls `each` with the seq of every entry; false if a writer holds one through every try. */
  #eachSeq(each: (seq: number, shard: number, entry: number) => void): boolean {
    for (let s = 0; s < this.#shards.length; s++) {
      const shard = this.#shards[s];
      const { words, entriesAt } = shard;
      // One that came after the watermark was read can be passed over, so that the newest needs no proof.
      const used = shard.certainEntries;
      for (let entry = 0; entry < used; entry++) {
        if (!this.#readSeq(words, entriesAt + entry * ENTRY_WORDS)) return false;
        each(this.#seq[0], s, entry);
      }
    }
    return true;
  }

  /** A seqlock read of the seq alone; store/entry-reader.ts says what pairs with what. */
  #readSeq(words: Int32Array, at: number): boolean {
    for (let tries = 0; tries < READ_TRIES; tries++) {
      const version = Atomics.load(words, at + ENTRY_VERSION);
      if (version & 1) continue;
      this.#seqWords[0] = Atomics.load(words, at + ENTRY_SEQ);
      this.#seqWords[1] = Atomics.load(words, at + ENTRY_SEQ + 1);
      if (Atomics.load(words, at + ENTRY_VERSION) === version) return true;
    }
    return false;
  }
}
