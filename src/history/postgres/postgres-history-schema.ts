/**
 * The tables of the history in PostgreSQL, beside those of the sink; the file's, told again
 * (sqlite/history-schema.ts). A released step never changes: a new one is added behind it.
 */

export const PRODUCTS = 'product_service_history_products';
export const RUNS = 'product_service_history_runs';
export const PLACE = 'product_service_history_place';

/** The row of the place, of an empty history. */
export const FIRST_PLACE = `INSERT INTO ${PLACE} (one, identity, seq, pruned_to, epoch) VALUES (true, $1, 0, '-Infinity', 1)`;

/** Which steps have been made. */
export const HISTORY_VERSION_TABLE = 'product_service_history_schema';

export const POSTGRES_HISTORY_MIGRATIONS: readonly string[] = [
  `CREATE TABLE product_service_history_products (
     no               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     id               text COLLATE "C" NOT NULL UNIQUE,
     version          bigint NOT NULL,
     price            double precision,
     price_at         double precision NOT NULL,
     price_whole_from double precision,
     stock            double precision,
     stock_at         double precision NOT NULL,
     stock_whole_from double precision
   ) WITH (fillfactor = 85);
   CREATE TABLE product_service_history_runs (
     product bigint NOT NULL,
     field   smallint NOT NULL,
     at      double precision NOT NULL,
     seq     bigint NOT NULL,
     value   double precision,
     again   bytea,
     PRIMARY KEY (product, field, at)
   ) WITH (fillfactor = 85);
   CREATE TABLE product_service_history_place (
     one       boolean PRIMARY KEY CHECK (one),
     identity  text NOT NULL,
     seq       bigint NOT NULL,
     pruned_to double precision NOT NULL,
     epoch     bigint NOT NULL
   );
   CREATE VIEW product_history AS
     SELECT id AS product_id, CASE field WHEN 0 THEN 'price' ELSE 'stock' END AS field,
       to_timestamp(at / 1000) AS at, value, seq
     FROM product_service_history_runs JOIN product_service_history_products ON no = product;`,
];
