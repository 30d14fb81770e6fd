/**
 * Reads products as rows for a sink, from where they stand in the store. The sink's thread; any row is one
 * committed state.
 */
import { EntryReader } from '../store/entry-reader.ts';
import {
  ENTRY_ID,
  ENTRY_ID_LENGTH_SHIFT,
  ENTRY_META,
  ENTRY_WORDS,
  type Shard,
} from '../store/shard.ts';
import type { ProductRow } from './sink.ts';

export class ProductRows {
  readonly #shards: readonly Shard[];
  readonly #bytes: readonly Buffer[];
  readonly #reader = new EntryReader();

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
    this.#bytes = shards.map(({ buffer }) => Buffer.from(buffer));
  }

  /** The product at `entry` of `shard`; `busy`: a writer holds it, read again on a later turn. */
  read(shard: number, entry: number): ProductRow | 'busy' {
    const { words, entriesAt } = this.#shards[shard];
    const at = entriesAt + entry * ENTRY_WORDS;
    const reader = this.#reader;
    if (!reader.read(words, at)) return 'busy';
    const from = (at + ENTRY_ID) * 4;
    const idBytes = words[at + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT;
    return {
      id: this.#bytes[shard].toString('utf8', from, from + idBytes),
      price: numberOrNull(reader.price),
      stock: numberOrNull(reader.stock),
      priceAtMs: timeOrNull(reader.priceAtMs),
      stockAtMs: timeOrNull(reader.stockAtMs),
      seq: reader.seq,
      updatedAtMs: reader.updatedAtMs,
    };
  }
}

/** NaN = absent, and must not reach a database: PostgreSQL takes it for the greatest number. */
function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

function timeOrNull(ms: number): number | null {
  return ms === Number.NEGATIVE_INFINITY ? null : ms;
}
