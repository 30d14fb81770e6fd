/**
 * Finds rows that a sink lists although their products are gone: it was away when they were delisted, and by now they
 * are forgotten and their places others', so that nothing in the store bears a seq that it could find. So it is asked
 * for all that it lists, and each is looked for in the store. The sink's own thread.
 *
 * Interleavings; A is what was applied after places began to be held for the sink, before the first look:
 *  - A product that is not there, or not listed, at a look: its row gets the seq A. What lists it later is applied
 *    later, so its seq is higher, and the row is written again. The row's own seq is lower: it was written before
 *    A, or by this very thread from what it had read.
 *  - A product that is listed at its look, and delisted and forgotten later: that has a seq above A, and its place
 *    is freed only behind the sink's position. What was about to be freed when the sink came was forgotten up to A.
 *  - It is killed, or the database is, half way: it is not noted as followed, and is compared again from the start.
 *  - More places are freed without it, because it was not reached again: the order for another comparison has
 *    another number, and the end of this one counts for nothing.
 */
import type { BatchWriter } from './batch-writer.ts';
import { nextTurn } from './pauses.ts';
import type { ProductRows } from './product-rows.ts';
import type { ProductRow, Sink } from './sink.ts';

export interface SinkComparisonOptions {
  readonly sink: Pick<Sink, 'listed'>;
  readonly rows: ProductRows;
  readonly batches: BatchWriter;
  readonly batchSize: number;
  /** Called between pages, so that connection and lock stay. */
  readonly beat: () => Promise<void>;
  /** Whether to go on. */
  readonly goesOn: () => boolean;
}

/**
 * Marks what is gone as delisted; `applied` is A, `position` stays. Returns how many rows that were, `undefined` if it
 * was broken off. Rejects with what the sink rejects with.
 */
export async function compareSink(
  { sink, rows, batches, batchSize, beat, goesOn }: SinkComparisonOptions,
  applied: number,
  position: number,
): Promise<number | undefined> {
  let gone: ProductRow[] = [];
  let marked = 0;
  const write = async () => {
    gone.sort((a, b) => (a.id < b.id ? -1 : 1));
    await batches.write(gone, position, position);
    marked += gone.length;
    gone = [];
  };
  for await (const ids of sink.listed()) {
    for (const id of new Set(ids)) {
      const row = await goneRow(rows, id, applied);
      if (row !== undefined) gone.push(row);
      if (gone.length >= batchSize) await write();
    }
    await nextTurn();
    if (!goesOn()) return undefined;
    await beat();
  }
  if (gone.length > 0) await write();
  return marked;
}

/** The row of a product that is not listed any more; `undefined` if it is. */
async function goneRow(
  rows: ProductRows,
  id: string,
  applied: number,
): Promise<ProductRow | undefined> {
  for (;;) {
    const row = rows.readId(id);
    if (row === 'busy') {
      await nextTurn();
      continue;
    }
    if (row !== undefined && (row.price ?? row.stock) !== null) return undefined;
    return row ?? forgottenRow(id, applied);
  }
}

/** The row of a product that the store does not have; `applied` was read before it was looked for. */
export function forgottenRow(id: string, applied: number): ProductRow {
  const none = { price: null, stock: null, priceAtMs: null, stockAtMs: null };
  return { id, ...none, seq: applied, updatedAtMs: Date.now() };
}
