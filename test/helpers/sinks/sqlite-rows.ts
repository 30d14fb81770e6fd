/** Reads a SQLite sink as an analyst would: another connection, the columns as they are. Tests only. */
import { DatabaseSync } from 'node:sqlite';
import type { ProductRow } from '../../../src/sinks/sink.ts';

/** Milliseconds of RFC 3339 text with up to six digits behind the point. */
export function msOf(text: string): number {
  const [, seconds = '', digits = ''] = /^(.*:\d\d)(?:\.(\d+))?Z$/.exec(text) ?? [];
  const micros = Number(digits.padEnd(6, '0'));
  return Date.parse(`${seconds}Z`) + micros / 1000;
}

export function sqliteRows(path: string): ProductRow[] {
  const database = new DatabaseSync(path, { timeout: 60_000 });
  try {
    return database
      .prepare('SELECT * FROM products ORDER BY id')
      .all()
      .map((each) => ({
        id: String(each.id),
        price: each.price === null ? null : Number(each.price),
        stock: each.stock === null ? null : Number(each.stock),
        priceAtMs: each.price_at === null ? null : msOf(String(each.price_at)),
        stockAtMs: each.stock_at === null ? null : msOf(String(each.stock_at)),
        seq: Number(each.seq),
        updatedAtMs: msOf(String(each.updated_at)),
      }));
  } finally {
    database.close();
  }
}

export function sqlitePosition(path: string): number {
  const database = new DatabaseSync(path, { timeout: 60_000 });
  try {
    return Number(database.prepare('SELECT seq FROM product_service_position').get()?.seq);
  } finally {
    database.close();
  }
}
