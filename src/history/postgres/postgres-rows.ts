/** Rows of the history's tables in PostgreSQL; 64-bit integers come as text. Any thread. */
import type { FieldRow, HistoryRow } from '../history-store.ts';
import { type Mark, WHOLE } from '../mark.ts';
import type { Run } from '../run.ts';

export const PRODUCT_COLUMNS =
  'no, id, version, price, price_at, price_whole_from, stock, stock_at, stock_whole_from';
export const MARK_COLUMNS = 'at, seq, value';
export const RUN_COLUMNS = `${MARK_COLUMNS}, again`;

/** A row as the client gives it. */
export type PgRow = Readonly<Record<string, unknown>>;

export function rowOf(row: PgRow): HistoryRow {
  const field = (name: 'price' | 'stock'): FieldRow => ({
    value: row[name] as number | null,
    atMs: row[`${name}_at`] as number,
    wholeFromMs: (row[`${name}_whole_from`] ?? WHOLE) as number,
  });
  return {
    no: Number(row.no),
    id: String(row.id),
    version: Number(row.version),
    fields: [field('price'), field('stock')],
  };
}

export function markOf(row: PgRow): Mark {
  return {
    atMs: row.at as number,
    seq: Number(row.seq),
    value: row.value as number | null,
  };
}

export function runOf(row: PgRow): Run {
  return {
    ...markOf(row),
    again: row.again as Uint8Array | null,
  };
}
