/**
 * The history's file: DATA_DIR/history.sqlite. Constants only.
 *
 *   products   one row a product: its state as of the position (what an event without a time, or with a
 *              condition, is judged by), and since when its fields are whole (NULL = since ever)
 *   runs       one row a value of a field: equal neighbours are one (run.ts)
 *   place      one row: the last event that is in it
 *   history    a view for people: who was what, when
 * Times are ms since 1970, microseconds behind the point; −9e999 is before all times.
 */
import type { Migrations } from '../../sqlite/database.ts';

export const HISTORY_FILE = 'history.sqlite';

export const HISTORY_MIGRATIONS: Migrations = [
  `
  CREATE TABLE products (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    price REAL, price_at REAL NOT NULL, price_whole_from REAL,
    stock REAL, stock_at REAL NOT NULL, stock_whole_from REAL
  ) STRICT;
  CREATE TABLE runs (
    product INTEGER NOT NULL,
    field INTEGER NOT NULL,
    at REAL NOT NULL,
    seq INTEGER NOT NULL,
    value REAL,
    again BLOB,
    PRIMARY KEY (product, field, at)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE place (seq INTEGER NOT NULL, pruned_to REAL NOT NULL) STRICT;
  INSERT INTO place VALUES (0, -9e999);
  CREATE VIEW history AS
    SELECT id AS product_id, CASE field WHEN 0 THEN 'price' ELSE 'stock' END AS field,
      strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000, 'unixepoch') AS at, value, seq
    FROM runs JOIN products ON no = product;
  `,
];
