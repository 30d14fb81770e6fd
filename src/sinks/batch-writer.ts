/**
 * Reads found products as rows and writes them to the sink, one batch at a time; a batch that the database
 * refuses for its data is halved until the row stands alone. The sink's own thread.
 */
import { nextTurn } from './pauses.ts';
import type { ProductRows } from './product-rows.ts';
import type { NewestEvent, ProductRow, Sink } from './sink.ts';
import type { SinkStats } from './sink-stats.ts';
import { eventOf, type Timeline } from './timeline.ts';

/** Where rows go that a database refuses. */
export interface RefusedRows {
  /** Keeps the row and why, flushed; false if there is no room: then the position must not move on. */
  refuse(row: ProductRow, error: unknown): boolean;
  /** These rows were written: what is kept of these products is settled. */
  settle(rows: readonly ProductRow[]): void;
  /** Whether what is kept of this product is not settled. */
  isRefused(productId: string): boolean;
}

/** The dead letters have no room for one more. */
export class BlockedError extends Error {}

export interface BatchWriterOptions {
  readonly sink: Sink;
  readonly rows: ProductRows;
  readonly stats: SinkStats;
  readonly refused: RefusedRows;
  /** Which run committed which events; empty in a cluster. */
  readonly timeline: Timeline;
}

export class BatchWriter {
  readonly #options: BatchWriterOptions;

  /** What the sink is told next that it has. */
  #newest: NewestEvent = { seq: 0, run: '' };

  constructor(options: BatchWriterOptions) {
    this.#options = options;
  }

  /** The sink was opened, and has this. */
  goOnBehind(newest: NewestEvent): void {
    this.#newest = newest;
  }

  /**
   * Puts found products into the order of ids, where they are many: neighbours in a database's index are then
   * written together. In the store's order each batch would touch as many pages as it has rows (87 s for a new
   * SQLite of 300,000 on a busy machine).
   */
  sort(shards: Uint16Array, entries: Uint32Array, count: number): void {
    const { rows } = this.#options;
    const ids = Array.from({ length: count }, (_, i) => ({
      id: rows.idAt(shards[i], entries[i]),
      shard: shards[i],
      entry: entries[i],
    }));
    ids.sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const [i, { shard, entry }] of ids.entries()) {
      shards[i] = shard;
      entries[i] = entry;
    }
  }

  /** The found products from `from` to before `to`, in the order of ids; waits for writers that hold one. */
  async read(
    shards: Uint16Array,
    entries: Uint32Array,
    from: number,
    to: number,
  ): Promise<ProductRow[]> {
    const { rows } = this.#options;
    const batch: ProductRow[] = [];
    for (let i = from; i < to; ) {
      const row = rows.read(shards[i], entries[i]);
      if (row === 'busy') {
        await nextTurn();
        continue;
      }
      if (row !== undefined) batch.push(row);
      i++;
    }
    return batch.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /**
   * Writes `rows`, and `position` in the end; until then it stays at `before`. Rejects with what the sink
   * rejects with, but for the data of rows; with BlockedError if one of those could not be kept.
   */
  async write(rows: readonly ProductRow[], before: number, position: number): Promise<void> {
    const { sink, stats, refused } = this.#options;
    const startMs = performance.now();
    try {
      const written = await sink.write(rows, position, this.#newestOf(rows, position));
      stats.set('reachedMs', Date.now());
      stats.add('batches', 1);
      stats.add('rowsSent', rows.length);
      stats.add('rowsWritten', written);
      stats.add('busyMicros', (performance.now() - startMs) * 1000);
      refused.settle(rows);
    } catch (error) {
      if (sink.classify(error) !== 'validation' || rows.length === 0) throw error;
      stats.add('failedValidation', 1);
      if (rows.length === 1) {
        this.#refuse(rows[0], error);
        if (position !== before) await this.write([], before, position);
        return;
      }
      const half = rows.length >>> 1;
      await this.write(rows.slice(0, half), before, before);
      await this.write(rows.slice(half), before, position);
    }
  }

  #newestOf(rows: readonly ProductRow[], position: number): NewestEvent {
    const seq = rows.reduce((newest, row) => Math.max(newest, row.seq), position);
    if (seq > this.#newest.seq) this.#newest = eventOf(this.#options.timeline, seq);
    return this.#newest;
  }

  #refuse(row: ProductRow, error: unknown): void {
    const { stats, refused } = this.#options;
    if (!refused.refuse(row, error)) {
      throw new BlockedError('blocked: the dead letters are full, see docs/sinks.md');
    }
    stats.add('deadLetters', 1);
  }
}
