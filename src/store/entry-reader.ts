/**
 * Copies the state of one entry out of its shard as one committed state. A seqlock read (Lameter,
 * "Effective synchronization on Linux/NUMA systems", 2005): version, state, version again, and over
 * if a writer was there. Main thread; an instance holds what it read last.
 */
import type { ProductState } from './product-repository.ts';
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
} from './shard.ts';

/** A writer holds an entry for some 100 ns; who meets one this often met one that is not running. */
const READ_TRIES = 100;

export class EntryReader implements ProductState {
  readonly #words = new Int32Array(ENTRY_STATE_WORDS);
  /** The same memory as doubles. */
  readonly #doubles = new Float64Array(this.#words.buffer);
  readonly #fence = new Int32Array(new SharedArrayBuffer(4));
  #version = 0;

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

  /** Reads the entry at word `entry` of a shard; false if a writer held it through every try. */
  read(words: Int32Array, entry: number): boolean {
    const to = this.#words;
    for (let tries = 0; tries < READ_TRIES; tries++) {
      // Pairs with the writer's two stores of the version around its stores of the state.
      const before = Atomics.load(words, entry + ENTRY_VERSION);
      if (before & 1) continue;
      for (let i = 0; i < ENTRY_STATE_WORDS; i++) {
        to[i] = Atomics.load(words, entry + ENTRY_STATE_FIRST + i);
      }
      if (Atomics.load(words, entry + ENTRY_VERSION) === before) {
        this.#version = before;
        return true;
      }
    }
    return false;
  }

  /** Whether nobody has written to the entry since it was read; then its id, read since, is the state's. */
  holds(words: Int32Array, entry: number): boolean {
    // No plain load of the id passes it, nor the load below (shard-image.ts).
    Atomics.add(this.#fence, 0, 1);
    return Atomics.load(words, entry + ENTRY_VERSION) === this.#version;
  }

  #at(word: number): number {
    return this.#doubles[(word - ENTRY_STATE_FIRST) >> 1];
  }
}
