/**
 * The product store as the main thread sees it: all shards, read through Atomics, never written.
 * Implements the two seams to the data: one product by its id, and all of them in turn.
 */

import { encodeProductIdWords, type IdMemory } from '../ring/id-bytes.ts';
import { ID_WORDS } from '../ring/slot.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import { EntryReader } from './entry-reader.ts';
import { hashId } from './id-hash.ts';
import type { CataloguePlace, CatalogueWalk, ProductCatalogue } from './product-catalogue.ts';
import type { ProductRepository, ProductState, ReadResult } from './product-repository.ts';
import { FIND_BUSY, type Shard, shardOf } from './shard.ts';
import { isPlaceIn, ShardWalk } from './shard-walk.ts';

/** How often a place is looked for that becomes another product's while it is read. */
const LOOKS = 10;

/** What the admission goes by: whether events of a product need room. `busy`: it is not known just now. */
export type Knowledge = 'known' | 'new' | 'busy';

export class SharedProductStore implements ProductRepository, ProductCatalogue {
  readonly #shards: readonly Shard[];
  readonly #key: HashKey;
  readonly #reader = new EntryReader();
  readonly #id = new Int32Array(ID_WORDS);
  readonly #idMemory: IdMemory = { words: this.#id, bytes: new Uint8Array(this.#id.buffer) };

  constructor(shards: readonly Shard[], key: HashKey) {
    this.#shards = shards;
    this.#key = key;
  }

  get state(): ProductState {
    return this.#reader;
  }

  /** Products in the store, delisted and forgotten ones too, as long as they have a place. */
  get size(): number {
    let taken = 0;
    for (const shard of this.#shards) taken += shard.taken;
    return taken;
  }

  read(productId: string): ReadResult {
    const idBytes = encodeProductIdWords(productId, this.#idMemory, 0);
    if (idBytes < 0) return 'missing';
    return this.readId(this.#id, 0, idBytes, hashId(this.#key, this.#id, 0, idBytes));
  }

  /** The same of the product whose id stands at word `at` of `id` (zero-padded), with its hash. */
  readId(id: Int32Array, at: number, idBytes: number, hash: number): ReadResult {
    const shard = this.#shards[shardOf(hash, this.#shards.length)];
    for (let looks = 0; looks < LOOKS; looks++) {
      const entry = shard.find(id, at, idBytes, hash);
      if (entry === FIND_BUSY) return 'busy';
      if (entry < 0) return 'missing';
      if (!this.#reader.read(shard.words, entry)) return 'busy';
      if (!shard.hasFreed) return 'found';
      // Between the look and the reading its place may have become another product's.
      const isIts = shard.hasId(entry, id, at, idBytes, hash);
      if (this.#reader.holds(shard.words, entry) && isIts) return 'found';
    }
    return 'busy';
  }

  walk(): CatalogueWalk {
    return new ShardWalk(this.#shards, { shard: 0, entry: 0 });
  }

  walkFrom(place: CataloguePlace): CatalogueWalk | undefined {
    return isPlaceIn(this.#shards, place) ? new ShardWalk(this.#shards, place) : undefined;
  }

  /**
   * Whether the product whose id stands at word `at` of `id` (zero-padded) has a place that it keeps. A
   * forgotten one's may be freed: it counts as new.
   */
  knows(id: Int32Array, at: number, idBytes: number, hash: number): Knowledge {
    const result = this.readId(id, at, idBytes, hash);
    if (result !== 'found') return result === 'busy' ? 'busy' : 'new';
    const { priceAtMs, stockAtMs } = this.#reader;
    return Math.max(priceAtMs, stockAtMs) === Number.NEGATIVE_INFINITY ? 'new' : 'known';
  }
}
