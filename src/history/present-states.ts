/** The present states of products in the store, delisted ones too. The history's thread; reads only. */
import { encodeProductIdWords } from '../ring/id-bytes.ts';
import { ID_WORDS } from '../ring/slot.ts';
import { EntryReader } from '../store/entry-reader.ts';
import { hashId } from '../store/id-hash.ts';
import {
  ENTRY_ID,
  ENTRY_ID_LENGTH_SHIFT,
  ENTRY_META,
  ENTRY_WORDS,
  FIND_BUSY,
  type Shard,
  shardOf,
} from '../store/shard.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import type { PresentState } from './gap.ts';

/**
 * Yields each product that was there when it began, once, and perhaps some that came since. An entry that
 * a writer holds is asked again and again: its owner has nothing else to do than to let go of it.
 */
export function* presentStates(shards: readonly Shard[]): Iterable<PresentState> {
  const reader = new EntryReader();
  for (const shard of shards) {
    const { words, entriesAt } = shard;
    const bytes = Buffer.from(shard.buffer);
    for (let entry = 0; entry < shard.certainEntries; entry++) {
      const at = entriesAt + entry * ENTRY_WORDS;
      let id = '';
      do {
        while (!reader.read(words, at));
        const from = (at + ENTRY_ID) * 4;
        const idBytes = words[at + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT;
        id = bytes.toString('utf8', from, from + idBytes);
        // Its place may just have become another product's.
      } while (!reader.holds(words, at));
      // A free place.
      if (id === '') continue;
      yield {
        id,
        seq: reader.seq,
        price: Number.isNaN(reader.price) ? null : reader.price,
        priceAtMs: reader.priceAtMs,
        stock: Number.isNaN(reader.stock) ? null : reader.stock,
        stockAtMs: reader.stockAtMs,
      };
    }
  }
}

/** Whether the store has an entry of this product, whatever is in it. Waits while its owner moves cells. */
export function isInStore(shards: readonly Shard[], hashKey: HashKey, productId: string): boolean {
  const words = new Int32Array(ID_WORDS);
  const memory = { words, bytes: new Uint8Array(words.buffer) };
  const idBytes = encodeProductIdWords(productId, memory, 0);
  if (idBytes < 0) return false;
  const hash = hashId(hashKey, words, 0, idBytes);
  const shard = shards[shardOf(hash, shards.length)];
  for (;;) {
    const at = shard.find(words, 0, idBytes, hash);
    if (at !== FIND_BUSY) return at >= 0;
  }
}
