/**
 * Fills and updates a store without the log before it: the owner's writer on slots made here. Any
 * thread that owns all the shards. Price and stock of every update go together, so a reader can see
 * whether it ever gets half of one.
 */

import { encodeProductIdWords } from '../../src/ring/id-bytes.ts';
import {
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  KIND_UPSERT,
  packMeta,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_SEQ,
  SLOT_STOCK,
  SLOT_WORDS,
  SlotViews,
} from '../../src/ring/slot.ts';
import { hashId } from '../../src/store/id-hash.ts';
import type { Shard } from '../../src/store/shard.ts';
import { ShardWriter, UNDO_BYTES } from '../../src/store/shard-writer.ts';
import type { HashKey } from '../../src/threads/shared-memory.ts';

/** What the stock of a product must be at a given price. */
export function stockAt(price: number): number {
  return price * 8 + 1;
}

export class StoreFill {
  readonly #key: HashKey;
  readonly #slots: SlotViews;
  readonly #writer: ShardWriter;
  #seq = 0;

  /** Makes slots for up to `capacity` products at a time. */
  constructor(shards: readonly Shard[], key: HashKey, capacity: number) {
    this.#key = key;
    this.#slots = new SlotViews(new ArrayBuffer(capacity * SLOT_BYTES), 0, capacity);
    this.#writer = new ShardWriter(shards, this.#slots, new Int32Array(UNDO_BYTES / 4));
  }

  /** Puts `ids` (at most the capacity) into the slots 0 …, for `update`. */
  prepare(ids: readonly string[]): void {
    const { words, doubles } = this.#slots;
    for (const [index, id] of ids.entries()) {
      const w = index * SLOT_WORDS;
      const idBytes = encodeProductIdWords(id, this.#slots, w + SLOT_ID);
      words[w + SLOT_META] = packMeta(KIND_UPSERT, FLAG_HAS_PRICE | FLAG_HAS_STOCK, idBytes);
      words[w + SLOT_HASH] = hashId(this.#key, words, w + SLOT_ID, idBytes);
      doubles[index * SLOT_DOUBLES + SLOT_OCCURRED_AT] = 0;
    }
  }

  /** Applies one more event to the product of the slot at `index`; throws if it is not taken. */
  update(index: number): void {
    const d = index * SLOT_DOUBLES;
    const { doubles } = this.#slots;
    const seq = ++this.#seq;
    doubles[d + SLOT_SEQ] = seq;
    doubles[d + SLOT_PRICE] = seq;
    doubles[d + SLOT_STOCK] = stockAt(seq);
    const result = this.#writer.apply(seq | 0, index, seq);
    if (result !== 'applied') throw new Error(`an update was ${result}`);
  }
}
