/**
 * The eyes of an instance of a cluster that does not write the history in PostgreSQL: how far the one that does is,
 * and whether there is one. One connection, where the writer's would be. The history's own thread.
 */
import type pg from 'pg';
import { lockIsFree, makePool, prepareSession } from '../../postgres/session.ts';
import { HistoryForeignError, type HistoryTarget } from '../history-store.ts';
import { PLACE } from './postgres-history-schema.ts';
import { isOfBefore, lockOf } from './postgres-owner.ts';

export interface HistoryLook {
  /** The last event that is in it; `undefined` = it is still called as before this generation of the cluster. */
  readonly seq: number | undefined;
  /** Whether nobody writes it. */
  readonly isFree: boolean;
}

export class PostgresStandby {
  readonly #target: HistoryTarget & { readonly kind: 'postgres' };
  #pool: pg.Pool | undefined;
  #client: pg.PoolClient | undefined;

  constructor(target: HistoryTarget & { readonly kind: 'postgres' }) {
    this.#target = target;
  }

  /** Rejects with HistoryForeignError, and what client and database say; then it is to be closed. */
  async look(): Promise<HistoryLook> {
    const client = await this.#connected();
    const { identity, schema } = this.#target;
    // In this order: what is free then has this place, or a later one.
    const isFree = await lockIsFree(client, lockOf(schema));
    const { rows } = await client.query(`SELECT identity, seq FROM ${PLACE}`);
    const [place] = rows;
    if (place?.identity === identity) return { seq: Number(place.seq), isFree };
    if (place === undefined || isOfBefore(place, this.#target)) return { seq: undefined, isFree };
    throw new HistoryForeignError('the database has no history of this cluster');
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#client?.release(true);
    this.#client = undefined;
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.end().catch(() => undefined);
  }

  async #connected(): Promise<pg.PoolClient> {
    if (this.#client !== undefined) return this.#client;
    const { schema, timeoutMs } = this.#target;
    this.#pool = makePool({ ...this.#target, connectionsMax: 1 });
    const client = await this.#pool.connect();
    // Of a connection that breaks while nobody calls; the next call says so itself.
    client.on('error', () => undefined);
    this.#client = client;
    await prepareSession(client, schema, timeoutMs);
    return client;
  }
}
