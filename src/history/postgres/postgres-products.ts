/** Products of the history in PostgreSQL: found, and written in a few statements. The history's own thread. */
import type pg from 'pg';
import type { HistoryRow, ProductChange } from '../history-store.ts';
import { FIELD_NUMBERS, WHOLE } from '../mark.ts';
import { PRODUCTS } from './postgres-history-schema.ts';
import { PRODUCT_COLUMNS, rowOf } from './postgres-rows.ts';

const ADD = `
  INSERT INTO ${PRODUCTS} (id, version, price, price_at, price_whole_from, stock, stock_at, stock_whole_from)
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::float8[], $4::float8[], $5::float8[], $6::float8[],
                       $7::float8[], $8::float8[])
  RETURNING no, id`;
const UPDATE = `
  UPDATE ${PRODUCTS} AS present SET version = new.version, price = new.price, price_at = new.price_at,
    price_whole_from = new.price_whole_from, stock = new.stock, stock_at = new.stock_at,
    stock_whole_from = new.stock_whole_from
  FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::float8[],
              $8::float8[])
    AS new (no, version, price, price_at, price_whole_from, stock, stock_at, stock_whole_from)
  WHERE present.no = new.no`;

export async function findProducts(
  client: pg.ClientBase,
  ids: readonly string[],
): Promise<readonly HistoryRow[]> {
  const { rows } = await client.query(
    `SELECT ${PRODUCT_COLUMNS} FROM ${PRODUCTS} WHERE id = ANY($1::text[])`,
    [ids],
  );
  return rows.map(rowOf);
}

/** Those with a value behind `afterNo`, in the order of their numbers; `count` at the most. */
export async function findListedProducts(
  client: pg.ClientBase,
  afterNo: number,
  count: number,
): Promise<readonly HistoryRow[]> {
  const { rows } = await client.query(
    `SELECT ${PRODUCT_COLUMNS} FROM ${PRODUCTS}
     WHERE no > $1 AND (price IS NOT NULL OR stock IS NOT NULL) ORDER BY no LIMIT $2`,
    [afterNo, count],
  );
  return rows.map(rowOf);
}

/** Writes their rows; new ones (`no` = 0) are given their numbers. Inside a transaction. */
export async function writeProducts(
  client: pg.ClientBase,
  products: readonly ProductChange[],
): Promise<void> {
  const added = new Map(products.filter(({ no }) => no === 0).map((each) => [each.id, each]));
  const known = products.filter(({ no }) => no !== 0);
  if (known.length > 0) {
    await client.query(UPDATE, [known.map(({ no }) => no), ...columnsOf(known)]);
  }
  if (added.size === 0) return;
  const { rows } = await client.query(ADD, [[...added.keys()], ...columnsOf([...added.values()])]);
  for (const { id, no } of rows) {
    const product = added.get(id);
    if (product !== undefined) product.no = Number(no);
  }
}

function columnsOf(products: readonly ProductChange[]): (number | null)[][] {
  return [
    products.map(({ version }) => version),
    ...FIELD_NUMBERS.flatMap((number) => [
      products.map(({ fields }) => fields[number].value),
      products.map(({ fields }) => fields[number].atMs),
      products.map(({ fields }) => wholeOrNull(fields[number].wholeFromMs)),
    ]),
  ];
}

function wholeOrNull(ms: number): number | null {
  return ms === WHOLE ? null : ms;
}
