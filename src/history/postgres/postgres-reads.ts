/**
 * Reads the history in PostgreSQL, several snapshots at a time, each in a transaction of its own connection. The
 * reading thread.
 */
import type pg from 'pg';
import { makePool, prepareSession } from '../../postgres/session.ts';
import {
  HistoryForeignError,
  type HistoryReads,
  type HistoryRow,
  type HistoryTarget,
  type HistoryView,
} from '../history-store.ts';
import type { FieldNumber, Mark } from '../mark.ts';
import type { Run } from '../run.ts';
import { PLACE, PRODUCTS, RUNS } from './postgres-history-schema.ts';
import {
  MARK_COLUMNS,
  markOf,
  PRODUCT_COLUMNS,
  RUN_COLUMNS,
  rowOf,
  runOf,
} from './postgres-rows.ts';

const OF_FIELD = `FROM ${RUNS} AS runs WHERE runs.product = $1 AND runs.field = $2`;

export class PostgresReads implements HistoryReads {
  readonly #target: HistoryTarget & { readonly kind: 'postgres' };
  readonly #pool: pg.Pool;
  /** Connections whose session is prepared. */
  readonly #prepared = new WeakSet<pg.PoolClient>();

  constructor(target: HistoryTarget & { readonly kind: 'postgres' }) {
    this.#target = target;
    this.#pool = makePool(target);
  }

  async snapshot<T>(read: (view: HistoryView) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    try {
      const view = await this.#begin(client);
      const result = await read(view);
      await client.query('COMMIT');
      client.release();
      return result;
    } catch (error) {
      // Whatever state it is in.
      client.release(true);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#pool.end().catch(() => undefined);
  }

  async #begin(client: pg.PoolClient): Promise<HistoryView> {
    const { schema, timeoutMs, identity } = this.#target;
    if (!this.#prepared.has(client)) {
      // Of a connection that breaks while nobody calls; the next call says so itself.
      client.on('error', () => undefined);
      await prepareSession(client, schema, timeoutMs);
      this.#prepared.add(client);
    }
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { rows } = await client.query({
      name: 'history place',
      text: `SELECT identity, seq FROM ${PLACE}`,
    });
    const [place] = rows;
    if (place?.identity !== identity) {
      throw new HistoryForeignError('the database has no history of this data folder');
    }
    return new TransactionView(client, Number(place.seq));
  }
}

class TransactionView implements HistoryView {
  readonly #client: pg.PoolClient;
  readonly place: number;

  constructor(client: pg.PoolClient, place: number) {
    this.#client = client;
    this.place = place;
  }

  async rows(ids: readonly string[]): Promise<readonly (HistoryRow | undefined)[]> {
    const { rows } = await this.#client.query({
      name: 'history products',
      text: `SELECT ${PRODUCT_COLUMNS} FROM ${PRODUCTS} WHERE id = ANY($1::text[])`,
      values: [ids],
    });
    const found = new Map(rows.map(rowOf).map((row) => [row.id, row]));
    return ids.map((id) => found.get(id));
  }

  async newest(
    products: readonly number[],
    field: FieldNumber,
    count: number,
  ): Promise<readonly (readonly Mark[])[]> {
    const { rows } = await this.#client.query({
      name: 'history newest',
      text: `SELECT n, ${MARK_COLUMNS}
        FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (product, n),
          LATERAL (SELECT ${MARK_COLUMNS} FROM ${RUNS} AS runs
                   WHERE runs.product = asked.product AND runs.field = $2 ORDER BY at DESC LIMIT $3) AS run
        ORDER BY n, at DESC`,
      values: [products, field, count],
    });
    const found: Mark[][] = products.map(() => []);
    for (const row of rows) found[Number(row.n) - 1]?.push(markOf(row));
    return found;
  }

  async before(
    product: number,
    field: FieldNumber,
    beforeMs: number,
    count: number,
  ): Promise<readonly Run[]> {
    const { rows } = await this.#client.query({
      name: 'history before',
      text: `SELECT ${RUN_COLUMNS} ${OF_FIELD} AND at < $3 ORDER BY at DESC LIMIT $4`,
      values: [product, field, beforeMs, count],
    });
    return rows.map(runOf);
  }

  async upTo(product: number, field: FieldNumber, atMs: number): Promise<Run | undefined> {
    const { rows } = await this.#client.query({
      name: 'history up to',
      text: `SELECT ${RUN_COLUMNS} ${OF_FIELD} AND at <= $3 ORDER BY at DESC LIMIT 1`,
      values: [product, field, atMs],
    });
    return rows.map(runOf)[0];
  }

  async behind(
    product: number,
    field: FieldNumber,
    behindMs: number,
    count: number,
  ): Promise<readonly Run[]> {
    const { rows } = await this.#client.query({
      name: 'history behind',
      text: `SELECT ${RUN_COLUMNS} ${OF_FIELD} AND at > $3 ORDER BY at LIMIT $4`,
      values: [product, field, behindMs, count],
    });
    return rows.map(runOf);
  }
}
