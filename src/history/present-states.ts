/** The present state of every product in the store, delisted ones too. Any thread; reads only. */
import { EntryReader } from '../store/entry-reader.ts';
import {
  ENTRY_ID,
  ENTRY_ID_LENGTH_SHIFT,
  ENTRY_META,
  ENTRY_WORDS,
  type Shard,
} from '../store/shard.ts';
import type { PresentState } from './history-writer.ts';

/**
 * Yields each product that was there when it began, once, and perhaps some that came since. An entry that
 * a writer holds is asked again and again: its owner has nothing else to do than to let go of it.
 */
export function* presentStates(shards: readonly Shard[]): Iterable<PresentState> {
  const reader = new EntryReader();
  for (const shard of shards) {
    const { words, entriesAt } = shard;
    const bytes = Buffer.from(shard.buffer);
    for (let entry = 0; entry < shard.certainEntries(); entry++) {
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
