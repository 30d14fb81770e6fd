/**
 * The one that writes: a session that holds the lock of its name, with the schema up to date, and a row in the
 * database that says whose the data are, how far they are, and which writer is the last one. Any thread with an
 * event loop.
 *
 * The lock keeps a second one away while the first is there. The epoch fences what a session had under way when
 * it lost its lock: whoever opens raises it, and a writer asks for its own in each transaction that it makes.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import {
  inTransaction,
  makePool,
  migrate,
  type PoolOptions,
  prepareSession,
  type SchemaMigrations,
  tryLock,
} from './session.ts';

const LOCK_TRIES = 6;
const LOCK_PAUSE_MS = 200;

export interface WriterSessionOptions extends PoolOptions, SchemaMigrations {
  /** Name of the lock. */
  readonly lock: string;
  /** Table of one row, which has the columns identity and epoch. */
  readonly table: string;
  /** Makes that row, with epoch 1, for the identity $1. */
  readonly firstRow: string;
  /** Whose data they are to be. */
  readonly identity: string;
  /** Whether a row of another identity is to be this one's from now on; none is, unless given. */
  readonly adopts?: (row: Readonly<Record<string, unknown>>) => boolean;
  /** What is said where another one writes. */
  readonly taken: () => Error;
  /** What is said where they are another identity's. */
  readonly foreign: () => Error;
}

export class WriterSession {
  readonly client: pg.PoolClient;
  /** Which writer this is. */
  readonly epoch: number;
  /** The row as it was found; 64-bit integers are text. */
  readonly row: Readonly<Record<string, unknown>>;
  readonly #pool: pg.Pool;
  readonly #options: WriterSessionOptions;

  private constructor(
    pool: pg.Pool,
    client: pg.PoolClient,
    claimed: Claimed,
    options: WriterSessionOptions,
  ) {
    this.#pool = pool;
    this.client = client;
    this.epoch = claimed.epoch;
    this.row = claimed.row;
    this.#options = options;
  }

  /** Connects and becomes the writer. Rejects with `taken`, `foreign`, and what client and database say. */
  static async open(options: WriterSessionOptions): Promise<WriterSession> {
    const pool = makePool(options);
    try {
      const client = await pool.connect();
      // Of a connection that breaks while nobody calls; the next call says so itself.
      client.on('error', () => undefined);
      try {
        return new WriterSession(pool, client, await becomeWriter(client, options), options);
      } catch (error) {
        client.release(true);
        throw error;
      }
    } catch (error) {
      await endPool(pool);
      throw error;
    }
  }

  /** Keeps the session alive; rejects with `taken` if another one has come meanwhile. */
  async beat(): Promise<void> {
    const { table, taken } = this.#options;
    const { rows } = await this.client.query(`SELECT epoch FROM ${table}`);
    if (Number(rows[0]?.epoch) !== this.epoch) throw taken();
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.client.release(true);
    await endPool(this.#pool);
  }
}

interface Claimed {
  readonly epoch: number;
  readonly row: Readonly<Record<string, unknown>>;
}

async function becomeWriter(
  client: pg.PoolClient,
  options: WriterSessionOptions,
): Promise<Claimed> {
  const { schema, timeoutMs, lock, taken } = options;
  await prepareSession(client, schema, timeoutMs);
  // The session before may be this one's own: the server ends it only when it gets to it.
  for (let tries = 1; !(await tryLock(client, lock)); tries++) {
    if (tries === LOCK_TRIES) throw taken();
    await pause(LOCK_PAUSE_MS);
  }
  await migrate(client, options);
  return inTransaction(client, () => claim(client, options));
}

async function claim(
  client: pg.PoolClient,
  { table, firstRow, identity, adopts, foreign }: WriterSessionOptions,
): Promise<Claimed> {
  const found = await client.query(`SELECT * FROM ${table} FOR UPDATE`);
  if (found.rows.length === 0) {
    const made = await client.query(`${firstRow} RETURNING *`, [identity]);
    return { epoch: 1, row: made.rows[0] };
  }
  const [row] = found.rows;
  if (row.identity !== identity && adopts?.(row) !== true) throw foreign();
  const epoch = Number(row.epoch) + 1;
  await client.query(`UPDATE ${table} SET epoch = $1, identity = $2`, [epoch, identity]);
  return { epoch, row };
}

async function endPool(pool: pg.Pool): Promise<void> {
  await pool.end().catch(() => undefined);
}
