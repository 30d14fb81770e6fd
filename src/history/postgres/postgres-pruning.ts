/** Takes out of the history in PostgreSQL what HISTORY doesn't keep, some products at a time (HistoryStore.prune). The history's thread. */
import type pg from 'pg';
import { PRODUCTS, RUNS } from './postgres-history-schema.ts';
import type { PgRow } from './postgres-rows.ts';

const PRODUCTS_AT_A_TIME = 1024;

/** Of each field stays what was in force at the horizon. */
const PRUNE = `
  WITH base AS (
    SELECT product, field, max(at) AS at FROM ${RUNS} WHERE product = ANY($1::bigint[]) AND at <= $2 GROUP BY 1, 2
  ), removed AS (
    DELETE FROM ${RUNS} AS runs USING base
    WHERE runs.product = base.product AND runs.field = base.field AND runs.at < base.at
    RETURNING base.product, base.field, base.at
  ), whole AS (
    SELECT product, max(at) FILTER (WHERE field = 0) AS price, max(at) FILTER (WHERE field = 1) AS stock
    FROM removed GROUP BY 1
  )
  UPDATE ${PRODUCTS} AS present SET price_whole_from = coalesce(whole.price, price_whole_from),
    stock_whole_from = coalesce(whole.stock, stock_whole_from)
  FROM whole WHERE present.no = whole.product`;

/** Prunes some products behind `afterNo`; returns the last of them, `undefined` when there are no more. Inside a transaction. */
export async function pruneStep(
  client: pg.ClientBase,
  horizonMs: number,
  afterNo: number,
): Promise<number | undefined> {
  const { rows } = await client.query(
    `SELECT no, price IS NULL AND stock IS NULL AND greatest(price_at, stock_at) < $1 AS is_gone
     FROM ${PRODUCTS} WHERE no > $2 ORDER BY no LIMIT $3`,
    [horizonMs, afterNo, PRODUCTS_AT_A_TIME],
  );
  const numbers = (isGone: boolean) =>
    rows.filter((row: PgRow) => row.is_gone === isGone).map(({ no }) => no);
  const gone = numbers(true);
  await client.query(`DELETE FROM ${RUNS} WHERE product = ANY($1::bigint[])`, [gone]);
  await client.query(`DELETE FROM ${PRODUCTS} WHERE no = ANY($1::bigint[])`, [gone]);
  await client.query(PRUNE, [numbers(false), horizonMs]);
  return rows.length < PRODUCTS_AT_A_TIME ? undefined : Number(rows.at(-1)?.no);
}
