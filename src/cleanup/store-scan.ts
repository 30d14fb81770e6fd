/**
 * Goes through the store, a piece in each turn of the event loop, for products that may be forgotten, and those
 * that are and wait for their places to be freed. Main thread.
 *
 * It reads plainly, while owners write: what it finds is proved when it is used, by the entry's version for the
 * id, and by the owner at the note's place in the log for the state.
 */
import {
  ENTRY_ID_LENGTH_SHIFT,
  ENTRY_META,
  ENTRY_PRICE,
  ENTRY_SEQ,
  ENTRY_STOCK,
  ENTRY_UPDATED_AT,
  ENTRY_WORDS,
  type Shard,
} from '../store/shard.ts';
import { isForgotten } from '../store/shard-places.ts';

/** Entries in one turn: some 100 µs. */
const TURN_ENTRIES = 8192;

export interface Found {
  readonly shard: Shard;
  /** Word of the entry. */
  readonly entry: number;
  readonly seq: number;
}

export interface ScanVisitor {
  /** A product that is not listed, and has not changed since `cutoffMs`. A promise is waited for. */
  readonly expired: (found: Found) => Promise<void> | undefined;
  /** A product that is forgotten, with a place that is not freed. */
  readonly forgotten: (found: Found) => void;
  /** Whether to go on. */
  readonly goOn: () => boolean;
}

/** Visits each entry once, as it is then. */
export async function scanStore(
  shards: readonly Shard[],
  cutoffMs: number,
  { expired, forgotten, goOn }: ScanVisitor,
): Promise<void> {
  for (const shard of shards) {
    const { words, doubles, entriesAt } = shard;
    const entries = shard.certainEntries;
    for (let from = 0; from < entries; from += TURN_ENTRIES) {
      await new Promise(setImmediate);
      if (!goOn()) return;
      const end = Math.min(entries, from + TURN_ENTRIES);
      for (let i = from; i < end; i++) {
        const entry = entriesAt + i * ENTRY_WORDS;
        const d = entry >> 1;
        if (!Number.isNaN(doubles[d + (ENTRY_PRICE >> 1)])) continue;
        if (!Number.isNaN(doubles[d + (ENTRY_STOCK >> 1)])) continue;
        if (words[entry + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT === 0) continue;
        const found = { shard, entry, seq: doubles[d + (ENTRY_SEQ >> 1)] };
        if (isForgotten(shard, entry)) forgotten(found);
        else if (doubles[d + (ENTRY_UPDATED_AT >> 1)] <= cutoffMs) {
          const waited = expired(found);
          if (waited !== undefined) await waited;
        }
      }
    }
  }
}
