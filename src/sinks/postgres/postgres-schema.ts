/**
 * The tables of the PostgreSQL sink, in the schema that its URL names. A released step never changes: a new
 * one is added behind it. Prices are numeric, so that sums are exact; fillfactor leaves room for updates in place.
 */
export const POSTGRES_MIGRATIONS: readonly string[] = [
  `CREATE TABLE products (
     id         text COLLATE "C" PRIMARY KEY,
     price      numeric,
     stock      bigint,
     price_at   timestamptz,
     stock_at   timestamptz,
     listed     boolean NOT NULL,
     seq        bigint NOT NULL,
     updated_at timestamptz NOT NULL
   ) WITH (fillfactor = 85);
   CREATE TABLE product_service_position (
     one      boolean PRIMARY KEY CHECK (one),
     identity text NOT NULL,
     seq      bigint NOT NULL,
     epoch    bigint NOT NULL
   );`,
  `ALTER TABLE product_service_position
     ADD newest_seq bigint NOT NULL DEFAULT 0,
     ADD newest_run text NOT NULL DEFAULT ''`,
];

/** Which of them have been made; itself made when it is missing. */
export const VERSION_TABLE = 'product_service_schema';
