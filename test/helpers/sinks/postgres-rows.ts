/** Reads a PostgreSQL sink as another program would; times to the microsecond. Tests only. */
import type { ProductRow } from '../../../src/sinks/sink.ts';
import type { PostgresServer } from '../servers/postgres-server.ts';

/** Microseconds since 1970 as text: a double of seconds would lose them. */
const MICROS = (column: string) => `(extract(epoch FROM ${column}) * 1000000)::bigint AS ${column}`;

export async function postgresRows(
  { query }: PostgresServer,
  schema = 'public',
): Promise<ProductRow[]> {
  const { rows } = await query(
    `SELECT id, price, stock, seq, listed, ${['price_at', 'stock_at', 'updated_at'].map(MICROS)}
     FROM ${schema}.products ORDER BY id`,
  );
  return rows.map((each) => ({
    id: each.id,
    price: each.price === null ? null : Number(each.price),
    stock: each.stock === null ? null : Number(each.stock),
    priceAtMs: msOf(each.price_at),
    stockAtMs: msOf(each.stock_at),
    seq: Number(each.seq),
    updatedAtMs: msOf(each.updated_at) ?? Number.NaN,
  }));
}

function msOf(micros: string | null): number | null {
  if (micros === null) return null;
  const value = BigInt(micros);
  const ms = value / 1000n - (value % 1000n < 0n ? 1n : 0n);
  return Number(ms) + Number(value - ms * 1000n) / 1000;
}

export async function postgresPosition({ query }: PostgresServer, schema = 'public') {
  const { rows } = await query(`SELECT seq FROM ${schema}.product_service_position`);
  return Number(rows[0]?.seq);
}
