/**
 * Reads products as rows for a sink, from where they stand in the store. The sink's thread; any row is one
 * committed state.
 */
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
import type { ProductRow } from './sink.ts';

export class ProductRows {
  readonly #shards: readonly Shard[];
  readonly #hashKey: HashKey;
  readonly #bytes: readonly Buffer[];
  readonly #reader = new EntryReader();

  /** `hashKey` is that of the ids in the store. */
  constructor(shards: readonly Shard[], hashKey: HashKey) {
    this.#shards = shards;
    this.#hashKey = hashKey;
    this.#bytes = shards.map(({ buffer }) => Buffer.from(buffer));
  }

  /** The id of the product at `entry` of `shard` as it reads now; its place may become another one's. */
  idAt(shard: number, entry: number): string {
    const { words, entriesAt } = this.#shards[shard];
    const at = entriesAt + entry * ENTRY_WORDS;
    const from = (at + ENTRY_ID) * 4;
    const idBytes = words[at + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT;
    return this.#bytes[shard].toString('utf8', from, from + idBytes);
  }

  /**
   * The product at `entry` of `shard`; `busy`: a writer holds it, read again on a later turn. `undefined`: the place is
   * free, so that the sink has what was there.
   */
  read(shard: number, entry: number): ProductRow | 'busy' | undefined {
    const { words, entriesAt } = this.#shards[shard];
    const at = entriesAt + entry * ENTRY_WORDS;
    const reader = this.#reader;
    if (!reader.read(words, at)) return 'busy';
    const from = (at + ENTRY_ID) * 4;
    const idBytes = words[at + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT;
    const id = this.#bytes[shard].toString('utf8', from, from + idBytes);
    if (!reader.holds(words, at)) return 'busy';
    if (id === '') return undefined;
    return {
      id,
      price: numberOrNull(reader.price),
      stock: numberOrNull(reader.stock),
      priceAtMs: timeOrNull(reader.priceAtMs),
      stockAtMs: timeOrNull(reader.stockAtMs),
      seq: reader.seq,
      updatedAtMs: reader.updatedAtMs,
    };
  }

  /** The product with this id; `undefined` if no event of it was applied. */
  readId(productId: string): ProductRow | 'busy' | undefined {
    const words = new Int32Array(ID_WORDS);
    const memory = { words, bytes: new Uint8Array(words.buffer) };
    const idBytes = encodeProductIdWords(productId, memory, 0);
    if (idBytes < 0) return undefined;
    const hash = hashId(this.#hashKey, words, 0, idBytes);
    const index = shardOf(hash, this.#shards.length);
    const shard = this.#shards[index];
    const at = shard.find(words, 0, idBytes, hash);
    if (at === FIND_BUSY) return 'busy';
    if (at < 0) return undefined;
    const row = this.read(index, (at - shard.entriesAt) / ENTRY_WORDS);
    // Its place became another product's meanwhile: it is looked for again.
    return row === 'busy' || row?.id === productId ? row : 'busy';
  }
}

/** NaN = absent, and must not reach a database: PostgreSQL takes it for the greatest number. */
function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

function timeOrNull(ms: number): number | null {
  return ms === Number.NEGATIVE_INFINITY ? null : ms;
}
