/**
 * A file of SQLite as this service uses one: WAL, so that others read while it is written; flushed at each
 * commit unless that is given up; strict about what is bound. Any thread; blocks it, for `busyMs` at the most
 * while another writer holds the file.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** Of the names of the files that a database is made of. */
export const DATABASE_ENDINGS: readonly string[] = ['', '-wal', '-shm'];

export type SqlValue = string | number | Uint8Array | null;
export type SqlRow = Readonly<Record<string, unknown>>;

export interface DatabaseOptions {
  readonly path: string;
  readonly busyMs: number;
  /**
   * `full`: a commit is on disk when it returns. `normal`: the last commits may be lost with the machine's
   * power, never some without the others.
   */
  readonly flush: 'full' | 'normal';
  /** Opens what is there, and writes nothing. */
  readonly isReadOnly?: boolean;
  /** The write-ahead log is written into the file by `checkpoint` alone. */
  readonly checkpoints?: 'own';
}

/** A statement whose arguments are checked: node:sqlite lets a Date shift the others, and NaN be NULL. */
export class Statement {
  readonly #statement: StatementSync;
  readonly #sql: string;
  readonly #parameters: number;

  constructor(database: DatabaseSync, sql: string) {
    this.#statement = database.prepare(sql);
    this.#sql = sql;
    this.#parameters = sql.split('?').length - 1;
  }

  /** Runs it; returns how many rows it changed. */
  run(...values: readonly SqlValue[]): number {
    this.#check(values);
    return Number(this.#statement.run(...values).changes);
  }

  all(...values: readonly SqlValue[]): readonly SqlRow[] {
    this.#check(values);
    return this.#statement.all(...values);
  }

  get(...values: readonly SqlValue[]): SqlRow | undefined {
    this.#check(values);
    return this.#statement.get(...values);
  }

  #check(values: readonly SqlValue[]): void {
    if (values.length !== this.#parameters) {
      throw new TypeError(
        `expected ${this.#parameters} values, found ${values.length}: ${this.#sql}`,
      );
    }
    for (const value of values) {
      if (value === null || typeof value === 'string' || value instanceof Uint8Array) continue;
      if (typeof value !== 'number' || Number.isNaN(value)) {
        throw new TypeError(`expected text, a number, bytes or null, found ${value}: ${this.#sql}`);
      }
    }
  }
}

/** Steps from nothing to the present schema, oldest first; what has been released never changes. */
export type Migrations = readonly string[];

export class Database {
  readonly #database: DatabaseSync;

  /** Opens the file, or makes it; throws what SQLite says. */
  constructor({ path, busyMs, flush, isReadOnly = false, checkpoints }: DatabaseOptions) {
    this.#database = new DatabaseSync(path, { timeout: busyMs, readOnly: isReadOnly });
    if (isReadOnly) return;
    try {
      this.#database.exec('PRAGMA journal_mode = WAL');
      this.#database.exec(`PRAGMA synchronous = ${flush === 'full' ? 'FULL' : 'NORMAL'}`);
      if (checkpoints === 'own') this.#database.exec('PRAGMA wal_autocheckpoint = 0');
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  prepare(sql: string): Statement {
    return new Statement(this.#database, sql);
  }

  /**
   * Runs the steps that the file has not seen, each in a transaction of its own. Throws if it has seen more
   * than there are: a later version has written it.
   */
  migrate(migrations: Migrations): void {
    const version = () => Number(this.prepare('PRAGMA user_version').get()?.user_version);
    for (;;) {
      const isDone = this.transaction(() => {
        const done = version();
        if (done > migrations.length) {
          throw new Error(
            `its schema has version ${done}, and this version knows ${migrations.length}: a later one has written it`,
          );
        }
        if (done === migrations.length) return true;
        this.#database.exec(migrations[done]);
        this.#database.exec(`PRAGMA user_version = ${done + 1}`);
        return false;
      });
      if (isDone) return;
    }
  }

  /** Runs `work` in a transaction that has the right to write from its beginning; all or nothing. */
  transaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      // Some errors have rolled it back already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** Begins to read one state of the file, until `end`. */
  begin(): void {
    this.#database.exec('BEGIN');
  }

  end(): void {
    this.#database.exec('COMMIT');
  }

  /**
   * Flushes the write-ahead log and writes it into the file, as far as no reader needs what stood there.
   * False if somebody else is at it: then nothing is said about what is flushed.
   */
  checkpoint(): boolean {
    return this.prepare('PRAGMA wal_checkpoint(PASSIVE)').get()?.busy === 0;
  }

  /** Writes a whole copy of it, as it is now, to the new file `path`. Not flushed. */
  copyTo(path: string): void {
    this.prepare('VACUUM INTO ?').run(path);
  }

  /** What is wrong with the file, in SQLite's words; reads all of it. */
  fault(): string | undefined {
    const found = this.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    return found === 'ok' ? undefined : String(found);
  }

  close(): void {
    this.#database.close();
  }
}

/** The extended result code of SQLite in `error`; `undefined` if it is none of SQLite's. */
export function sqliteCode(error: unknown): number | undefined {
  const { errcode } = (error ?? {}) as { readonly errcode?: unknown };
  return typeof errcode === 'number' ? errcode : undefined;
}
