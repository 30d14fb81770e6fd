/**
 * A database of PostgreSQL as this service uses one: every call with a time-out, one writer by an advisory lock
 * of its session, versioned migrations in a schema. Any thread with an event loop.
 *
 * A session that the server does not hear of is ended by the server (idle_session_timeout, PostgreSQL 14), so
 * that a stopped process does not keep its lock for ever; when it goes on, its connection is gone.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';

/** The server ends a session that it has not heard of for so long; beats come more often. */
const SILENCE_MS = 60_000;
const IDLE_SESSION_VERSION = 140_000;

export interface PoolOptions {
  /** postgres://…, without parameters of this service's own. */
  readonly url: string;
  readonly connectionsMax: number;
  /** How long a wait for a connection and each call may take. */
  readonly timeoutMs: number;
}

/** Connections that are made when they are needed. */
export function makePool({ url, connectionsMax, timeoutMs }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
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

/** `name` as it stands in SQL. */
export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Makes `schema` the one that names without one are of, and bounds every wait of the session. */
export async function prepareSession(
  client: pg.ClientBase,
  schema: string,
  timeoutMs: number,
): Promise<void> {
  const settings: Record<string, string> = {
    search_path: quotedName(schema),
    statement_timeout: String(timeoutMs),
    lock_timeout: String(timeoutMs),
    idle_in_transaction_session_timeout: String(SILENCE_MS),
  };
  const { rows } = await client.query(
    "SELECT current_setting('server_version_num')::int AS version",
  );
  if (rows[0].version >= IDLE_SESSION_VERSION) settings.idle_session_timeout = String(SILENCE_MS);
  for (const [name, value] of Object.entries(settings)) {
    await client.query('SELECT set_config($1, $2, false)', [name, value]);
  }
}

/** Takes the lock of this name for the session; false if another one has it. */
export async function tryLock(client: pg.ClientBase, name: string): Promise<boolean> {
  const { rows } = await client.query('SELECT pg_try_advisory_lock($1) AS held', [lockKey(name)]);
  return rows[0].held === true;
}

/** Whether nobody has the lock of this name. */
export async function lockIsFree(client: pg.ClientBase, name: string): Promise<boolean> {
  const key = lockKey(name);
  const { rows } = await client.query(
    'SELECT CASE WHEN pg_try_advisory_lock($1) THEN pg_advisory_unlock($1) ELSE false END AS free',
    [key],
  );
  return rows[0].free === true;
}

/** Locks of PostgreSQL are numbers. */
function lockKey(name: string): string {
  return String(createHash('sha256').update(name).digest().readBigInt64BE());
}

export interface SchemaMigrations {
  readonly schema: string;
  /** Table with the steps that were made; itself made when it is missing. */
  readonly versionTable: string;
  /** Oldest first; what has been released never changes. */
  readonly migrations: readonly string[];
}

/** Makes the schema and the steps that it has not seen. Throws if a later version has written it. */
export async function migrate(
  client: pg.ClientBase,
  { schema, versionTable, migrations }: SchemaMigrations,
): Promise<void> {
  await inTransaction(client, async () => {
    // Sink and history may come to a new database at once, and "if not exists" is no lock.
    await client.query('SELECT pg_advisory_xact_lock($1)', [
      lockKey(`product-service schema ${schema}`),
    ]);
    const { rows } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema]);
    // Not "if not exists", which asks for the right to make one even where there is one.
    if (rows.length === 0) await client.query(`CREATE SCHEMA ${quotedName(schema)}`);
  });
  await client.query(`CREATE TABLE IF NOT EXISTS ${versionTable} (version integer NOT NULL)`);
  const { rows } = await client.query(`SELECT max(version) AS version FROM ${versionTable}`);
  const done = rows[0].version ?? 0;
  if (done > migrations.length) {
    throw new Error(
      `the schema has version ${done}, and this version knows ${migrations.length}: a later one has written it`,
    );
  }
  for (let step = done; step < migrations.length; step++) {
    await inTransaction(client, async () => {
      await client.query(migrations[step]);
      await client.query(`INSERT INTO ${versionTable} (version) VALUES ($1)`, [step + 1]);
    });
  }
}

/** Runs `work` in a transaction: all or nothing. */
export async function inTransaction<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
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
