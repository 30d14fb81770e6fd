/**
 * Places of entries whose products are forgotten: freed, and given to other products. The shard's owner
 * alone, in the applier's thread; src/cleanup says from when on a place may be freed, so that nobody still
 * counts on it. Readers, checkpoints and sinks go on meanwhile. What may happen:
 *
 *  - A reader has looked up an entry, and its place is freed, or another product's by the time it reads. All
 *    of a place's change of hands lies between two stores of the entry's version, the first of them odd. The
 *    reader compares the id between its two loads of the version (EntryReader.holds), and looks again.
 *  - A reader looks for a product whose cell is moved meanwhile, because cells behind a freed one close up. It
 *    may pass both places of it. The index version is odd or another then: what was not found is looked for
 *    again. What was found was there.
 *  - A walk comes by: a free place looks like a product that is not listed. One that is taken behind the walk
 *    is met as any product that comes meanwhile: or not.
 *  - The owner dies (the record says which place it was at, and is cleared last): where the version is odd,
 *    the place is made free, whatever was to become of it; the index is made anew from the entries, under an
 *    odd index version, and the list of free places from those without an id. The slot that was to have it
 *    is applied again.
 *  - The admission counts: a place is counted free last, when all of it is done, and counted taken first.
 *
 * The record, in the applier's undo record: shard + 1 (0 = none), entry + 1.
 */
import {
  ENTRY_HASH,
  ENTRY_ID_LENGTH_SHIFT,
  ENTRY_META,
  ENTRY_NEXT_FREE,
  ENTRY_PRICE,
  ENTRY_PRICE_AT,
  ENTRY_SEQ,
  ENTRY_STATE_FIRST,
  ENTRY_STATE_WORDS,
  ENTRY_STOCK,
  ENTRY_STOCK_AT,
  ENTRY_VERSION,
  ENTRY_WORDS,
  SHARD_FREE,
  SHARD_FREE_FIRST,
  SHARD_INDEX_VERSION,
  SHARD_USED,
  type Shard,
} from './shard.ts';

/** The state of a product that never was, as its words stand in an entry. */
export const BLANK_STATE: Int32Array = blankState();

/** Whether the entry at word `entry` is of a forgotten product; the owner, or whoever proves it by the version. */
export function isForgotten({ words, doubles }: Shard, entry: number): boolean {
  return (
    doubles[(entry + ENTRY_PRICE_AT) >> 1] === Number.NEGATIVE_INFINITY &&
    doubles[(entry + ENTRY_STOCK_AT) >> 1] === Number.NEGATIVE_INFINITY &&
    words[entry + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT !== 0
  );
}

export class ShardPlaces {
  readonly #shards: readonly Shard[];
  /** Two words of the undo record. */
  readonly #record: Int32Array;
  readonly #shardAt: number;
  readonly #entryAt: number;

  constructor(shards: readonly Shard[], record: Int32Array, shardAt: number, entryAt: number) {
    this.#shards = shards;
    this.#record = record;
    this.#shardAt = shardAt;
    this.#entryAt = entryAt;
  }

  /** Frees the place at word `entry`, whose product is forgotten. */
  free(shardIndex: number, entry: number): void {
    const shard = this.#shards[shardIndex];
    const { words } = shard;
    const no = this.#begin(shardIndex, entry);
    const version = words[entry + ENTRY_VERSION];
    // Pairs with the readers' loads of the version around their loads of state and id.
    Atomics.store(words, entry + ENTRY_VERSION, (version + 1) | 0);
    this.#removeCell(shard, entry, no);
    clearEntry(words, entry);
    Atomics.store(words, entry + ENTRY_VERSION, (version + 2) | 0);
    words[entry + ENTRY_NEXT_FREE] = words[SHARD_FREE_FIRST];
    words[SHARD_FREE_FIRST] = no;
    Atomics.store(words, SHARD_FREE, words[SHARD_FREE] + 1);
    this.#end();
  }

  /**
   * Takes a free place, of which there must be one, for a product that is not there: `fill` writes hash,
   * meta, id and state to the word that it is given; then the vacant cell at word `cell` leads there.
   */
  take(shardIndex: number, cell: number, fill: (entry: number) => void): void {
    const { words, entriesAt } = this.#shards[shardIndex];
    const no = words[SHARD_FREE_FIRST];
    const entry = entriesAt + (no - 1) * ENTRY_WORDS;
    this.#begin(shardIndex, entry);
    const version = words[entry + ENTRY_VERSION];
    Atomics.store(words, entry + ENTRY_VERSION, (version + 1) | 0);
    words[SHARD_FREE_FIRST] = words[entry + ENTRY_NEXT_FREE];
    words[entry + ENTRY_NEXT_FREE] = 0;
    // Before the cell: the admission must never see the product known and its room still free.
    Atomics.store(words, SHARD_FREE, words[SHARD_FREE] - 1);
    fill(entry);
    Atomics.store(words, cell, no);
    Atomics.store(words, entry + ENTRY_VERSION, (version + 2) | 0);
    this.#end();
  }

  /** Brings the place that the predecessor was at, if it was at one, into order. */
  repair(): void {
    const record = this.#record;
    if (record[this.#shardAt] === 0) return;
    const shard = this.#shards[record[this.#shardAt] - 1];
    const { words } = shard;
    const entry = shard.entryOf(record[this.#entryAt]);
    const version = Atomics.load(words, entry + ENTRY_VERSION);
    if (version & 1) {
      clearEntry(words, entry);
      rebuildIndex(shard);
      Atomics.store(words, entry + ENTRY_VERSION, (version + 1) | 0);
    }
    rebuildList(shard);
    this.#end();
  }

  #begin(shardIndex: number, entry: number): number {
    const no = (entry - this.#shards[shardIndex].entriesAt) / ENTRY_WORDS + 1;
    this.#record[this.#entryAt] = no;
    // Last: it makes the record one.
    this.#record[this.#shardAt] = shardIndex + 1;
    return no;
  }

  #end(): void {
    this.#record[this.#shardAt] = 0;
  }

  /** Takes the cell out that leads to entry `no`; those behind it close up (Knuth, TAOCP 3, 6.4, algorithm R). */
  #removeCell(shard: Shard, entry: number, no: number): void {
    const { words, cellsAt } = shard;
    const mask = shard.cells - 1;
    let hole = words[entry + ENTRY_HASH] & mask;
    while (words[cellsAt + hole] !== no) hole = (hole + 1) & mask;
    const version = words[SHARD_INDEX_VERSION];
    Atomics.store(words, SHARD_INDEX_VERSION, (version + 1) | 0);
    for (let at = (hole + 1) & mask; words[cellsAt + at] !== 0; at = (at + 1) & mask) {
      const cell = words[cellsAt + at];
      const home = words[shard.entryOf(cell) + ENTRY_HASH] & mask;
      // It may go to the hole unless its home lies behind it.
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      Atomics.store(words, cellsAt + hole, cell);
      hole = at;
    }
    Atomics.store(words, cellsAt + hole, 0);
    Atomics.store(words, SHARD_INDEX_VERSION, nextEven(version));
  }
}

/** The even version behind `version`; never 0, which says that none was ever freed. */
function nextEven(version: number): number {
  return (((version | 1) + 1) | 0) === 0 ? 2 : ((version | 1) + 1) | 0;
}

/** A free place; the version is odd. The id last: as long as it stands, the place is not free. */
export function clearEntry(words: Int32Array, entry: number): void {
  for (let i = 0; i < ENTRY_STATE_WORDS; i++) {
    Atomics.store(words, entry + ENTRY_STATE_FIRST + i, BLANK_STATE[i]);
  }
  for (let i = ENTRY_META; i < ENTRY_WORDS; i++) Atomics.store(words, entry + i, 0);
  Atomics.store(words, entry + ENTRY_HASH, 0);
}

/** Makes the index anew from the entries that have an id; whoever looks meanwhile looks again. */
function rebuildIndex(shard: Shard): void {
  const { words, cellsAt, cells } = shard;
  const mask = cells - 1;
  const version = words[SHARD_INDEX_VERSION] | 1;
  Atomics.store(words, SHARD_INDEX_VERSION, version);
  for (let cell = cellsAt; cell < cellsAt + cells; cell++) Atomics.store(words, cell, 0);
  for (let no = 1; no <= words[SHARD_USED]; no++) {
    const entry = shard.entryOf(no);
    if (words[entry + ENTRY_META] === 0) continue;
    let probe = words[entry + ENTRY_HASH] & mask;
    while (words[cellsAt + probe] !== 0) probe = (probe + 1) & mask;
    Atomics.store(words, cellsAt + probe, no);
  }
  Atomics.store(words, SHARD_INDEX_VERSION, nextEven(version));
}

function rebuildList(shard: Shard): void {
  const { words } = shard;
  let first = 0;
  let free = 0;
  for (let no = words[SHARD_USED]; no >= 1; no--) {
    const entry = shard.entryOf(no);
    if (words[entry + ENTRY_META] !== 0) continue;
    words[entry + ENTRY_NEXT_FREE] = first;
    first = no;
    free++;
  }
  words[SHARD_FREE_FIRST] = first;
  Atomics.store(words, SHARD_FREE, free);
}

function blankState(): Int32Array {
  const words = new Int32Array(ENTRY_STATE_WORDS);
  const doubles = new Float64Array(words.buffer);
  const at = (word: number) => (word - ENTRY_STATE_FIRST) >> 1;
  doubles[at(ENTRY_SEQ)] = 0;
  doubles[at(ENTRY_PRICE)] = Number.NaN;
  doubles[at(ENTRY_PRICE_AT)] = Number.NEGATIVE_INFINITY;
  doubles[at(ENTRY_STOCK)] = Number.NaN;
  doubles[at(ENTRY_STOCK_AT)] = Number.NEGATIVE_INFINITY;
  return words;
}
