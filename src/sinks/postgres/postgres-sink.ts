/**
 * The sink in PostgreSQL. The sink's own thread.
 *
 * One writer: an advisory lock of its session. A session that the server does not hear of is ended by the
 * server (idle_session_timeout, PostgreSQL 14), so that a stopped process does not keep the lock for ever; when
 * it goes on, its connection is gone. The epoch fences whatever was on its way: a batch is one statement, and
 * it writes nothing where the epoch is not the writer's.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { timeText } from '../../time/microseconds.ts';
import { classOfNetworkError } from '../network-errors.ts';
import {
  type ErrorClass,
  type ProductRow,
  type Sink,
  SinkForeignError,
  type SinkOptions,
  SinkTakenError,
} from '../sink.ts';
import { withDeadline } from '../with-deadline.ts';
import { classOfSqlState } from './postgres-errors.ts';
import { POSTGRES_MIGRATIONS, VERSION_TABLE } from './postgres-schema.ts';

/** The server ends a session that it has not heard of for so long; beats come more often. */
const SILENCE_MS = 60_000;
const IDLE_SESSION_VERSION = 140_000;

/**
 * The position and the rows, or neither: a statement is a transaction. What is newer in the table stays.
 * Columns come as arrays, in the order of ids: two writers then wait for each other and never for ever.
 */
const WRITE = `
  WITH moved AS (
    UPDATE product_service_position SET seq = greatest(seq, $1) WHERE epoch = $2 RETURNING 1
  ), written AS (
    INSERT INTO products AS present (id, price, stock, price_at, stock_at, listed, seq, updated_at)
    SELECT id, price, stock, price_at, stock_at, price IS NOT NULL OR stock IS NOT NULL, seq, updated_at
    FROM unnest($3::text[], $4::numeric[], $5::bigint[], $6::timestamptz[], $7::timestamptz[],
                $8::bigint[], $9::timestamptz[])
      AS new (id, price, stock, price_at, stock_at, seq, updated_at)
    WHERE EXISTS (SELECT FROM moved)
    ON CONFLICT (id) DO UPDATE SET
      price = excluded.price, stock = excluded.stock, price_at = excluded.price_at,
      stock_at = excluded.stock_at, listed = excluded.listed, seq = excluded.seq,
      updated_at = excluded.updated_at
    WHERE present.seq < excluded.seq
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM moved)::int AS moved, (SELECT count(*) FROM written)::int AS written`;

export interface PostgresTarget {
  /** postgres://…, without the parameter `schema`. */
  readonly url: string;
  readonly schema: string;
}

interface Writer {
  readonly client: pg.PoolClient;
  readonly epoch: number;
}

export class PostgresSink implements Sink {
  readonly #target: PostgresTarget;
  readonly #options: SinkOptions;
  #pool: pg.Pool | undefined;
  #writer: Writer | undefined;

  constructor(target: PostgresTarget, options: SinkOptions) {
    this.#target = target;
    this.#options = options;
  }

  async open(): Promise<number> {
    const { timeoutMs } = this.#options;
    this.#pool ??= this.#makePool();
    const client = await withDeadline(timeoutMs, 'the connection', this.#pool.connect());
    // Of a connection that breaks while nobody calls; the next call says so itself.
    client.on('error', () => undefined);
    try {
      await this.#prepareSession(client);
      await this.#lock(client);
      await this.#migrate(client);
      const { seq, epoch } = await this.#claim(client);
      this.#writer = { client, epoch };
      return seq;
    } catch (error) {
      client.release(true);
      throw error;
    }
  }

  #makePool(): pg.Pool {
    const { timeoutMs, connectionsMax } = this.#options;
    const pool = new pg.Pool({
      connectionString: this.#target.url,
      max: connectionsMax,
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
      keepAlive: true,
      application_name: 'product-service',
    });
    // Without a listener the end of an idle connection would be the end of the process.
    pool.on('error', () => undefined);
    return pool;
  }

  async #prepareSession(client: pg.PoolClient): Promise<void> {
    const { timeoutMs } = this.#options;
    const settings: Record<string, string> = {
      search_path: `"${this.#target.schema.replaceAll('"', '""')}"`,
      statement_timeout: String(timeoutMs),
      lock_timeout: String(timeoutMs),
      idle_in_transaction_session_timeout: String(SILENCE_MS),
    };
    const { rows } = await client.query(
      "SELECT current_setting('server_version_num')::int AS version",
    );
    if (rows[0].version >= IDLE_SESSION_VERSION) {
      settings.idle_session_timeout = String(SILENCE_MS);
    }
    for (const [name, value] of Object.entries(settings)) {
      await client.query('SELECT set_config($1, $2, false)', [name, value]);
    }
  }

  async #lock(client: pg.PoolClient): Promise<void> {
    const name = `product-service sink ${this.#target.schema}`;
    const key = createHash('sha256').update(name).digest().readBigInt64BE();
    const { rows } = await client.query('SELECT pg_try_advisory_lock($1) AS held', [String(key)]);
    if (rows[0].held !== true) throw new SinkTakenError('another instance writes to this database');
  }

  async #migrate(client: pg.PoolClient): Promise<void> {
    const { schema } = this.#target;
    const { rows: schemas } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [
      schema,
    ]);
    if (schemas.length === 0) {
      await client.query(`CREATE SCHEMA "${schema.replaceAll('"', '""')}"`);
    }
    await client.query(`CREATE TABLE IF NOT EXISTS ${VERSION_TABLE} (version integer NOT NULL)`);
    const { rows } = await client.query(`SELECT max(version) AS version FROM ${VERSION_TABLE}`);
    const done = rows[0].version ?? 0;
    if (done > POSTGRES_MIGRATIONS.length) {
      throw new Error(
        `the schema has version ${done}, and this version knows ${POSTGRES_MIGRATIONS.length}: a later one has written it`,
      );
    }
    for (let step = done; step < POSTGRES_MIGRATIONS.length; step++) {
      await inTransaction(client, async () => {
        await client.query(POSTGRES_MIGRATIONS[step]);
        await client.query(`INSERT INTO ${VERSION_TABLE} (version) VALUES ($1)`, [step + 1]);
      });
    }
  }

  #claim(client: pg.PoolClient): Promise<{ readonly seq: number; readonly epoch: number }> {
    const { identity } = this.#options;
    return inTransaction(client, async () => {
      const { rows } = await client.query(
        'SELECT identity, seq, epoch FROM product_service_position FOR UPDATE',
      );
      if (rows.length === 0) {
        await client.query('INSERT INTO product_service_position VALUES (true, $1, 0, 1)', [
          identity,
        ]);
        return { seq: 0, epoch: 1 };
      }
      const [found] = rows;
      if (found.identity !== identity) {
        throw new SinkForeignError(
          'the database has the products of another data folder; see docs/sinks.md',
        );
      }
      const epoch = Number(found.epoch) + 1;
      await client.query('UPDATE product_service_position SET epoch = $1', [epoch]);
      return { seq: Number(found.seq), epoch };
    });
  }

  async write(rows: readonly ProductRow[], position: number): Promise<number> {
    const { client, epoch } = this.#opened;
    const { rows: answers } = await client.query({
      name: 'product-service write',
      text: WRITE,
      values: [
        position,
        epoch,
        rows.map(({ id }) => id),
        rows.map(({ price }) => price),
        rows.map(({ stock }) => stock),
        rows.map(({ priceAtMs }) => timestampOf(priceAtMs)),
        rows.map(({ stockAtMs }) => timestampOf(stockAtMs)),
        rows.map(({ seq }) => seq),
        rows.map(({ updatedAtMs }) => timestampOf(updatedAtMs)),
      ],
    });
    const { moved, written } = answers[0];
    if (moved === 0) throw new SinkTakenError('another instance writes to this database');
    return written;
  }

  async beat(): Promise<void> {
    const { client, epoch } = this.#opened;
    const { rows } = await client.query('SELECT epoch FROM product_service_position');
    if (Number(rows[0]?.epoch) !== epoch) {
      throw new SinkTakenError('another instance writes to this database');
    }
  }

  classify(error: unknown): ErrorClass {
    const network = classOfNetworkError(error);
    if (network !== undefined) return network;
    const { code } = (error ?? {}) as { readonly code?: unknown };
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return classOfSqlState(code);
    // pg's own words for a lost connection or a time-out have no code.
    return error instanceof Error && /connection|timeout|terminated/i.test(error.message)
      ? 'retryable'
      : 'not-retryable';
  }

  async close(): Promise<void> {
    this.#writer?.client.release(true);
    this.#writer = undefined;
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.end().catch(() => undefined);
  }

  get #opened(): Writer {
    if (this.#writer === undefined) throw new Error('there is no connection');
    return this.#writer;
  }
}

/** PostgreSQL knows no year 0: what RFC 3339 calls so is 1 BC. */
function timestampOf(ms: number | null): string | null {
  if (ms === null) return null;
  const text = timeText(ms);
  return text.startsWith('0000') ? `0001${text.slice(4)} BC` : text;
}

async function inTransaction<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
