/**
 * A walk through all entries of all shards while their owners go on writing. Main thread; any number
 * of walks at a time. A free place looks like a product that is not listed, and is passed like one.
 *
 * Which entries it may read: an owner counts a new entry (`used`) before it stores the index cell,
 * so the newest one counted may have no cell yet. If its owner dies just then, its successor takes
 * the count back and may write another product to the same place. All entries before it have their
 * cells, because an owner finishes one insert before it begins the next, and counts it as certain then. So
 * the newest one is passed once it is, and left for later until then.
 */

import { EntryReader } from './entry-reader.ts';
import type { CataloguePlace, CatalogueWalk, WalkStep } from './product-catalogue.ts';
import { isListed, type ProductState } from './product-repository.ts';
import { ENTRY_ID, ENTRY_ID_LENGTH_SHIFT, ENTRY_META, ENTRY_WORDS, type Shard } from './shard.ts';

export class ShardWalk implements CatalogueWalk {
  readonly #shards: readonly Shard[];
  readonly #reader = new EntryReader();
  #shard: number;
  #entry: number;
  /** Entries of this shard that are known to be there for good. */
  #certain = 0;
  /** All of this shard, for the ids. */
  #bytes: Buffer;
  #id = '';

  constructor(shards: readonly Shard[], { shard, entry }: CataloguePlace) {
    this.#shards = shards;
    this.#shard = shard;
    this.#entry = entry;
    this.#bytes = bytesOf(shards[shard]);
  }

  get id(): string {
    return this.#id;
  }

  get state(): ProductState {
    return this.#reader;
  }

  get place(): CataloguePlace | undefined {
    return this.#seek() ? { shard: this.#shard, entry: this.#entry } : undefined;
  }

  next(): WalkStep {
    if (!this.#seek()) return 'end';
    const { words, entriesAt } = this.#shards[this.#shard];
    const at = entriesAt + this.#entry * ENTRY_WORDS;
    if (!this.#reader.read(words, at)) return 'busy';
    if (isListed(this.#reader)) {
      const from = (at + ENTRY_ID) * 4;
      const idBytes = words[at + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT;
      this.#id = this.#bytes.toString('utf8', from, from + idBytes);
      // Its place may just have become another product's.
      if (!this.#reader.holds(words, at)) return 'busy';
    }
    this.#entry++;
    return isListed(this.#reader) ? 'found' : 'delisted';
  }

  /** Goes to the next entry, in this shard or a later one; false if there is none. */
  #seek(): boolean {
    while (this.#entry >= this.#certain) {
      this.#certain = this.#shards[this.#shard].certainEntries;
      if (this.#entry < this.#certain) return true;
      if (this.#shard === this.#shards.length - 1) return false;
      this.#shard++;
      this.#entry = 0;
      this.#certain = 0;
      this.#bytes = bytesOf(this.#shards[this.#shard]);
    }
    return true;
  }
}

function bytesOf(shard: Shard): Buffer {
  return Buffer.from(shard.buffer);
}

/** Whether `place` can be one of these shards. */
export function isPlaceIn(shards: readonly Shard[], { shard, entry }: CataloguePlace): boolean {
  const there = shards[shard];
  return there !== undefined && entry <= there.entries;
}
