/** Reads a Redis sink as another service would: the hashes as they are. Tests only. */
import type { ProductRow } from '../../../src/sinks/sink.ts';
import type { RedisServer } from '../servers/redis-server.ts';
import { msOf } from './sqlite-rows.ts';

/** What the servers have under the prefix, in the order of ids. */
export async function redisRows(
  servers: readonly RedisServer[],
  prefix: string,
): Promise<ProductRow[]> {
  const rows: ProductRow[] = [];
  for (const server of servers) {
    const keys = ((await server.command('KEYS', '*')) as string[]).filter((key) =>
      key.startsWith(prefix),
    );
    for (const key of keys) {
      const type = await server.command('TYPE', key);
      if (type === 'hash')
        rows.push(rowOf(key.slice(prefix.length), await server.command('HGETALL', key)));
    }
  }
  return rows.sort((a, b) => (Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)) < 0 ? -1 : 1));
}

/** The client gives a map of what it was told. */
function rowOf(id: string, told: unknown): ProductRow {
  const fields = new Map(Array.isArray(told) ? pairs(told) : Object.entries(told as object));
  const text = (name: string) => fields.get(name) as string | undefined;
  const number = (name: string) => (text(name) === undefined ? null : Number(text(name)));
  const time = (name: string) => (text(name) === undefined ? null : msOf(text(name) ?? ''));
  return {
    id,
    price: number('price'),
    stock: number('stock'),
    priceAtMs: time('price_at'),
    stockAtMs: time('stock_at'),
    seq: Number(text('seq')),
    updatedAtMs: time('updated_at') ?? Number.NaN,
  };
}

function pairs(flat: readonly unknown[]): [string, unknown][] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [String(flat[2 * i]), flat[2 * i + 1]]);
}

export async function redisPosition(
  servers: readonly RedisServer[],
  prefix: string,
): Promise<number> {
  for (const server of servers) {
    const seq = await server
      .command('HGET', `product-service:sink:${prefix}`, 'seq')
      // Another one's slot.
      .catch(() => null);
    if (seq !== null) return Number(seq);
  }
  return 0;
}
