/**
 * The product store as the main thread sees it: all shards, read through Atomics, never written.
 * Implements the repository seam. A read is a seqlock read (Lameter, "Effective synchronization on
 * Linux/NUMA systems", 2005): version, state, version again, and over if a writer was there.
 */
import { ID_WORDS } from '../ring/slot.ts';
import { type HashKey, hashId } from './id-hash.ts';
import { encodeProductIdWords, type IdMemory } from './product-id.ts';
import type { ProductRepository, ProductState, ReadResult } from './product-repository.ts';
import {
  ENTRY_PRICE,
  ENTRY_PRICE_AT,
  ENTRY_SEQ,
  ENTRY_STATE_FIRST,
  ENTRY_STATE_WORDS,
  ENTRY_STOCK,
  ENTRY_STOCK_AT,
  ENTRY_UPDATED_AT,
  ENTRY_VERSION,
  SHARD_USED,
  type Shard,
  shardOf,
} from './shard.ts';

/** A writer holds an entry for some 100 ns; who meets one this often met one that is not running. */
const READ_TRIES = 100;

/** The state words of an entry as they were copied, seen as doubles. */
class CopiedState implements ProductState {
  readonly words = new Int32Array(ENTRY_STATE_WORDS);
  readonly #doubles = new Float64Array(this.words.buffer);

  get seq(): number {
    return this.#at(ENTRY_SEQ);
  }
  get price(): number {
    return this.#at(ENTRY_PRICE);
  }
  get stock(): number {
    return this.#at(ENTRY_STOCK);
  }
  get priceAtMs(): number {
    return this.#at(ENTRY_PRICE_AT);
  }
  get stockAtMs(): number {
    return this.#at(ENTRY_STOCK_AT);
  }
  get updatedAtMs(): number {
    return this.#at(ENTRY_UPDATED_AT);
  }

  #at(word: number): number {
    return this.#doubles[(word - ENTRY_STATE_FIRST) >> 1] as number;
  }
}

export class SharedProductStore implements ProductRepository {
  readonly #shards: readonly Shard[];
  readonly #key: HashKey;
  readonly #copied = new CopiedState();
  readonly #id = new Int32Array(ID_WORDS);
  readonly #idMemory: IdMemory = { words: this.#id, bytes: new Uint8Array(this.#id.buffer) };

  constructor(shards: readonly Shard[], key: HashKey) {
    this.#shards = shards;
    this.#key = key;
  }

  get state(): ProductState {
    return this.#copied;
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
    const hash = hashId(this.#key, this.#id, 0, idBytes);
    const shard = this.#shards[shardOf(hash, this.#shards.length)] as Shard;
    const entry = shard.find(this.#id, 0, idBytes, hash);
    return entry < 0 ? 'missing' : this.#copy(shard.words, entry);
  }

  /** Whether the product whose id stands at word `at` of `id` (zero-padded) is in the store. */
  has(id: Int32Array, at: number, idBytes: number, hash: number): boolean {
    const shard = this.#shards[shardOf(hash, this.#shards.length)] as Shard;
    return shard.find(id, at, idBytes, hash) >= 0;
  }

  #copy(words: Int32Array, entry: number): ReadResult {
    const to = this.#copied.words;
    for (let tries = 0; tries < READ_TRIES; tries++) {
      // Pairs with the writer's two stores of the version around its stores of the state.
      const before = Atomics.load(words, entry + ENTRY_VERSION);
      if (before & 1) continue;
      for (let i = 0; i < ENTRY_STATE_WORDS; i++) {
        to[i] = Atomics.load(words, entry + ENTRY_STATE_FIRST + i);
      }
      if (Atomics.load(words, entry + ENTRY_VERSION) === before) return 'found';
    }
    return 'busy';
  }
}
