/**
 * The sink in a file of SQLite: embedded, and open to whoever reads it while the service runs. The sink's
 * own thread, which it blocks.
 *
 * One writer: it holds the lock of the file PATH.lock beside it, which ends with the process (log/folder-lock.ts
 * tells how). Where that file was removed, a second instance may come; it raises the epoch, and the first one
 * finds it raised, writes nothing and stands by.
 */
import { FolderLock, isHeldByOther } from '../../log/folder-lock.ts';
import { Database, type Statement, sqliteCode } from '../../sqlite/database.ts';
import { timeText } from '../../time/microseconds.ts';
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
import { classOfSqliteCode } from './sqlite-errors.ts';
import { SQLITE_MIGRATIONS } from './sqlite-schema.ts';

/** A wait for another writer can't be interrupted, and a stop must not wait for it. */
const BUSY_MS_MAX = 1_000;
const LISTED_AT_A_TIME = 1_000;

const UPSERT = `
  INSERT INTO products (id, price, stock, price_at, stock_at, listed, seq, updated_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET
    price = excluded.price, stock = excluded.stock, price_at = excluded.price_at,
    stock_at = excluded.stock_at, listed = excluded.listed, seq = excluded.seq,
    updated_at = excluded.updated_at
  WHERE products.seq < excluded.seq`;

interface OpenFile {
  readonly lock: FolderLock;
  readonly database: Database;
  readonly epoch: number;
  readonly upsert: Statement;
  readonly move: Statement;
  readonly listed: Statement;
}

export class SqliteSink implements Sink {
  readonly #path: string;
  readonly #options: SinkOptions;
  #file: OpenFile | undefined;
  /** The last time that was put into words, and the words: those of one frame are the same. */
  #updatedAtMs = Number.NaN;
  #updatedAt = '';

  constructor(path: string, options: SinkOptions) {
    this.#path = path;
    this.#options = options;
  }

  async open(): Promise<SinkPlace> {
    const lock = this.#lock();
    try {
      return this.#openLocked(lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  #lock(): FolderLock {
    try {
      return new FolderLock(`${this.#path}.lock`);
    } catch (error) {
      if (!isHeldByOther(error)) throw error;
      throw new SinkTakenError(`another instance writes to ${this.#path}`);
    }
  }

  #openLocked(lock: FolderLock): SinkPlace {
    const busyMs = Math.min(this.#options.timeoutMs, BUSY_MS_MAX);
    // It can be made again from the service: a power cut may cost its last commits, together with the position.
    const database = new Database({ path: this.#path, busyMs, flush: 'normal' });
    try {
      database.migrate(SQLITE_MIGRATIONS);
      const { place, epoch } = database.transaction(() => this.#claim(database));
      const upsert = database.prepare(UPSERT);
      const move = database.prepare(
        `UPDATE product_service_position
         SET seq = max(seq, ?), newest_seq = ?, newest_run = ? WHERE epoch = ?`,
      );
      const listed = database.prepare(
        'SELECT id FROM products WHERE id > ? AND listed = 1 ORDER BY id LIMIT ?',
      );
      this.#file = { lock, database, epoch, upsert, move, listed };
      return place;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #claim(database: Database): { readonly place: SinkPlace; readonly epoch: number } {
    const { identity } = this.#options;
    const found = database.prepare('SELECT * FROM product_service_position').get();
    if (found === undefined) {
      database
        .prepare(
          'INSERT INTO product_service_position (one, identity, seq, epoch) VALUES (1, ?, 0, 1)',
        )
        .run(identity);
      return { place: { position: 0, newest: { seq: 0, run: '' } }, epoch: 1 };
    }
    const newest = { seq: Number(found.newest_seq), run: String(found.newest_run) };
    const place = { position: Number(found.seq), newest };
    if (!isOwn(this.#options, String(found.identity), place)) {
      throw new SinkForeignError(
        `${this.#path} has the products of another data folder; see docs/sinks.md`,
      );
    }
    const epoch = Number(found.epoch) + 1;
    database
      .prepare('UPDATE product_service_position SET epoch = ?, identity = ?')
      .run(epoch, identity);
    return { place, epoch };
  }

  async write(rows: readonly ProductRow[], position: number, newest: NewestEvent): Promise<number> {
    const { database, upsert, move, epoch } = this.#opened;
    return database.transaction(() => {
      if (move.run(position, newest.seq, newest.run, epoch) === 0) {
        throw new SinkTakenError('another instance writes to this file');
      }
      let written = 0;
      for (const row of rows) {
        written += upsert.run(
          row.id,
          row.price,
          row.stock,
          textOrNull(row.priceAtMs),
          textOrNull(row.stockAtMs),
          row.price === null && row.stock === null ? 0 : 1,
          row.seq,
          this.#updatedText(row.updatedAtMs),
        );
      }
      return written;
    });
  }

  async *listed(): AsyncIterable<readonly string[]> {
    const { listed } = this.#opened;
    for (let last = ''; ; ) {
      const ids = listed.all(last, LISTED_AT_A_TIME).map(({ id }) => String(id));
      if (ids.length > 0) yield ids;
      last = ids.at(-1) ?? '';
      if (ids.length < LISTED_AT_A_TIME) return;
    }
  }

  async beat(): Promise<void> {
    const { database, epoch } = this.#opened;
    const found = database.prepare('SELECT epoch FROM product_service_position').get();
    if (found?.epoch !== epoch) throw new SinkTakenError('another instance writes to this file');
  }

  classify(error: unknown): ErrorClass {
    const code = sqliteCode(error);
    return code === undefined ? 'not-retryable' : classOfSqliteCode(code);
  }

  async close(): Promise<void> {
    this.#file?.database.close();
    this.#file?.lock.release();
    this.#file = undefined;
  }

  get #opened(): OpenFile {
    if (this.#file === undefined) throw new Error('the file is not open');
    return this.#file;
  }

  #updatedText(ms: number): string {
    if (ms !== this.#updatedAtMs) {
      this.#updatedAtMs = ms;
      this.#updatedAt = timeText(ms);
    }
    return this.#updatedAt;
  }
}

function textOrNull(ms: number | null): string | null {
  return ms === null ? null : timeText(ms);
}
