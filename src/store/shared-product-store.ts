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
import { SHARD_USED, type Shard, shardOf } from './shard.ts';
import { isPlaceIn, ShardWalk } from './shard-walk.ts';

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

  /** Products in the store. */
  get size(): number {
    let used = 0;
    for (const shard of this.#shards) used += Atomics.load(shard.words, SHARD_USED);
    return used;
  }

  read(productId: string): ReadResult {
    const idBytes = encodeProductIdWords(productId, this.#idMemory, 0);
    if (idBytes < 0) return 'missing';
    return this.readId(this.#id, 0, idBytes, hashId(this.#key, this.#id, 0, idBytes));
  }

  /** The same of the product whose id stands at word `at` of `id` (zero-padded), with its hash. */
  readId(id: Int32Array, at: number, idBytes: number, hash: number): ReadResult {
    const shard = this.#shards[shardOf(hash, this.#shards.length)];
    const entry = shard.find(id, at, idBytes, hash);
    if (entry < 0) return 'missing';
    return this.#reader.read(shard.words, entry) ? 'found' : 'busy';
  }

  walk(): CatalogueWalk {
    return new ShardWalk(this.#shards, { shard: 0, entry: 0 });
  }

  walkFrom(place: CataloguePlace): CatalogueWalk | undefined {
    return isPlaceIn(this.#shards, place) ? new ShardWalk(this.#shards, place) : undefined;
  }

  /** Whether the product whose id stands at word `at` of `id` (zero-padded) is in the store. */
  has(id: Int32Array, at: number, idBytes: number, hash: number): boolean {
    const shard = this.#shards[shardOf(hash, this.#shards.length)];
    return shard.find(id, at, idBytes, hash) >= 0;
  }
}
