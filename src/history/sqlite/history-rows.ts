/** Products of the history's file as rows. Any thread. */
import type { Database, SqlRow } from '../../sqlite/database.ts';
import type { FieldRow, HistoryRow } from '../history-store.ts';
import { WHOLE } from '../mark.ts';

const COLUMNS =
  'no, id, version, price, price_at, price_whole_from, stock, stock_at, stock_whole_from';

export class HistoryRows {
  readonly #find;
  readonly #listed;

  constructor(database: Database) {
    this.#find = database.prepare(`SELECT ${COLUMNS} FROM products WHERE id = ?`);
    this.#listed = database.prepare(
      `SELECT ${COLUMNS} FROM products WHERE no > ? AND (price IS NOT NULL OR stock IS NOT NULL) ORDER BY no LIMIT ?`,
    );
  }

  find(id: string): HistoryRow | undefined {
    const row = this.#find.get(id);
    return row === undefined ? undefined : rowOf(row);
  }

  listed(afterNo: number, count: number): readonly HistoryRow[] {
    return this.#listed.all(afterNo, count).map(rowOf);
  }
}

function rowOf(row: SqlRow): HistoryRow {
  const field = (name: 'price' | 'stock'): FieldRow => ({
    value: row[name] as number | null,
    atMs: row[`${name}_at`] as number,
    wholeFromMs: (row[`${name}_whole_from`] ?? WHOLE) as number,
  });
  return {
    no: row.no as number,
    id: row.id as string,
    version: row.version as number,
    fields: [field('price'), field('stock')],
  };
}
