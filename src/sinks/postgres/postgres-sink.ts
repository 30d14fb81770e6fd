/**
 * The sink in PostgreSQL. The sink's own thread.
 *
 * One writer (postgres/writer-session.ts): a batch is one statement, and it writes nothing where the epoch is not
 * the writer's.
 */
import { WriterSession } from '../../postgres/writer-session.ts';
import { timeText } from '../../time/microseconds.ts';
import { classOfNetworkError } from '../network-errors.ts';
import { isOwn } from '../place.ts';
import {
  type ErrorClass,
  type NewestEvent,
  type ProductRow,
  type Sink,
  SinkForeignError,
  type SinkOptions,
  type SinkPlace,
  SinkTakenError,
} from '../sink.ts';
import { classOfSqlState } from './postgres-errors.ts';
import { POSTGRES_MIGRATIONS, VERSION_TABLE } from './postgres-schema.ts';

const LISTED_AT_A_TIME = 10_000;
const POSITION = 'product_service_position';
const FIRST_POSITION = `INSERT INTO ${POSITION} (one, identity, seq, epoch) VALUES (true, $1, 0, 1)`;

const taken = () => new SinkTakenError('another instance writes to this database');
const foreign = () =>
  new SinkForeignError('the database has the products of another data folder; see docs/sinks.md');

/**
 * The position and the rows, or neither: a statement is a transaction. What is newer in the table stays.
 * Columns come as arrays, in the order of ids: two writers then wait for each other and never for ever.
 */
const WRITE = `
  WITH moved AS (
    UPDATE ${POSITION} SET seq = greatest(seq, $1), newest_seq = $10, newest_run = $11
    WHERE epoch = $2 RETURNING 1
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

export class PostgresSink implements Sink {
  readonly #target: PostgresTarget;
  readonly #options: SinkOptions;
  #session: WriterSession | undefined;

  constructor(target: PostgresTarget, options: SinkOptions) {
    this.#target = target;
    this.#options = options;
  }

  async open(): Promise<SinkPlace> {
    const { url, schema } = this.#target;
    this.#session = await WriterSession.open({
      ...this.#options,
      url,
      schema,
      lock: `product-service sink ${schema}`,
      versionTable: VERSION_TABLE,
      migrations: POSTGRES_MIGRATIONS,
      table: POSITION,
      firstRow: FIRST_POSITION,
      adopts: (row) => isOwn(this.#options, String(row.identity), placeOf(row)),
      taken,
      foreign,
    });
    return placeOf(this.#session.row);
  }

  async write(rows: readonly ProductRow[], position: number, newest: NewestEvent): Promise<number> {
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
        newest.seq,
        newest.run,
      ],
    });
    const { moved, written } = answers[0];
    if (moved === 0) throw taken();
    return written;
  }

  async *listed(): AsyncIterable<readonly string[]> {
    for (let last = ''; ; ) {
      const { rows } = await this.#opened.client.query(
        'SELECT id FROM products WHERE id > $1 AND listed ORDER BY id LIMIT $2',
        [last, LISTED_AT_A_TIME],
      );
      const ids = rows.map(({ id }) => String(id));
      if (ids.length > 0) yield ids;
      last = ids.at(-1) ?? '';
      if (ids.length < LISTED_AT_A_TIME) return;
    }
  }

  beat(): Promise<void> {
    return this.#opened.beat();
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
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  get #opened(): WriterSession {
    if (this.#session === undefined) throw new Error('there is no connection');
    return this.#session;
  }
}

function placeOf(row: WriterSession['row']): SinkPlace {
  const newest = { seq: Number(row.newest_seq), run: String(row.newest_run) };
  return { position: Number(row.seq), newest };
}

/** PostgreSQL knows no year 0: what RFC 3339 calls so is 1 BC. */
function timestampOf(ms: number | null): string | null {
  if (ms === null) return null;
  const text = timeText(ms);
  return text.startsWith('0000') ? `0001${text.slice(4)} BC` : text;
}
