/**
 * The tables of the SQLite sink. A released step never changes: a new one is added behind it.
 * Times are RFC 3339 in UTC, which sorts and which SQLite's date functions take.
 */
import type { Migrations } from '../../sqlite/database.ts';

export const SQLITE_MIGRATIONS: Migrations = [
  `CREATE TABLE products (
     id         TEXT PRIMARY KEY,
     price      REAL,
     stock      INTEGER,
     price_at   TEXT,
     stock_at   TEXT,
     listed     INTEGER NOT NULL,
     seq        INTEGER NOT NULL,
     updated_at TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE product_service_position (
     one      INTEGER PRIMARY KEY CHECK (one = 1),
     identity TEXT NOT NULL,
     seq      INTEGER NOT NULL,
     epoch    INTEGER NOT NULL
   ) STRICT;`,
  `ALTER TABLE product_service_position ADD COLUMN newest_seq INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE product_service_position ADD COLUMN newest_run TEXT NOT NULL DEFAULT '';`,
];
