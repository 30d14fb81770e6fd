/**
 * What could not be delivered, and why: rows that a sink's database refuses for their data, and events that
 * appliers set aside. DATA_DIR/sinks/dead-letters.db, flushed before a call returns; bounded. Any thread has a
 * connection of its own; it blocks for the flush, which is rare.
 *
 * One letter for each sink and product, and for each event: what happens again counts up, with the newest
 * state and reason.
 */
import { Database, type SqlRow, type SqlValue, type Statement } from '../sqlite/database.ts';

const MIGRATIONS = [
  `CREATE TABLE letters (
     id         INTEGER PRIMARY KEY AUTOINCREMENT,
     source     TEXT NOT NULL,
     product_id TEXT NOT NULL,
     seq        INTEGER NOT NULL,
     content    TEXT NOT NULL,
     code       TEXT NOT NULL,
     reason     TEXT NOT NULL,
     first_ms   REAL NOT NULL,
     last_ms    REAL NOT NULL,
     times      INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX rows_of_sinks ON letters (source, product_id) WHERE source <> 'applier';
   CREATE UNIQUE INDEX events ON letters (seq) WHERE source = 'applier';`,
  // To count millions for each new one would take longer and longer.
  `CREATE TABLE letter_count (count INTEGER NOT NULL) STRICT;
   INSERT INTO letter_count SELECT count(*) FROM letters;
   CREATE TRIGGER letter_came AFTER INSERT ON letters
     BEGIN UPDATE letter_count SET count = count + 1; END;
   CREATE TRIGGER letter_went AFTER DELETE ON letters
     BEGIN UPDATE letter_count SET count = count - 1; END;`,
];

/** How long another thread's flush is waited for. */
const BUSY_MS = 5_000;
/** Where an event comes from that appliers set aside; all other sources are sinks. */
export const APPLIER_SOURCE = 'applier';

export interface NewLetter {
  /** Name of the sink, or APPLIER_SOURCE. */
  readonly source: string;
  readonly productId: string;
  /** Of the state or the event. */
  readonly seq: number;
  /** The row or the event, as JSON. */
  readonly content: string;
  /** The database's own code. */
  readonly code: string;
  readonly reason: string;
}

export interface DeadLetter extends NewLetter {
  readonly id: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly times: number;
}

export interface LetterFilter {
  readonly source?: string | undefined;
  readonly productId?: string | undefined;
}

export class DeadLetters {
  readonly #database: Database;
  readonly #lettersMax: number;
  readonly #count: Statement;
  readonly #putRow: Statement;
  readonly #putEvent: Statement;
  readonly #hasRow: Statement;
  readonly #hasEvent: Statement;
  readonly #settle: Statement;
  readonly #get: Statement;
  readonly #remove: Statement;

  /** Opens the file, or makes it. Throws what SQLite says. */
  constructor(path: string, lettersMax: number) {
    const database = new Database({ path, busyMs: BUSY_MS, flush: 'full' });
    database.migrate(MIGRATIONS);
    this.#database = database;
    this.#lettersMax = lettersMax;
    this.#count = database.prepare('SELECT count FROM letter_count');
    this.#putRow = database.prepare(put("(source, product_id) WHERE source <> 'applier'"));
    this.#putEvent = database.prepare(put("(seq) WHERE source = 'applier'"));
    this.#hasRow = database.prepare('SELECT 1 FROM letters WHERE source = ? AND product_id = ?');
    this.#hasEvent = database.prepare(
      `SELECT 1 FROM letters WHERE seq = ? AND source = '${APPLIER_SOURCE}'`,
    );
    this.#settle = database.prepare(
      'DELETE FROM letters WHERE source = ? AND product_id = ? AND seq <= ?',
    );
    this.#get = database.prepare('SELECT * FROM letters WHERE id = ?');
    this.#remove = database.prepare('DELETE FROM letters WHERE id = ?');
  }

  /** How many there are, and how many there may be. */
  get count(): number {
    return Number(this.#count.get()?.count);
  }

  get lettersMax(): number {
    return this.#lettersMax;
  }

  /** Keeps a letter, flushed; false if there is no room for one more. */
  put(letter: NewLetter, nowMs: number = Date.now()): boolean {
    const { source, productId, seq, content, code, reason } = letter;
    return this.#database.transaction(() => {
      const isEvent = source === APPLIER_SOURCE;
      const known = isEvent ? this.#hasEvent.get(seq) : this.#hasRow.get(source, productId);
      if (known === undefined && this.count >= this.#lettersMax) return false;
      const statement = isEvent ? this.#putEvent : this.#putRow;
      statement.run(source, productId, seq, content, code, reason, nowMs, nowMs);
      return true;
    });
  }

  /** The sink took a state of the product as new as the one it had refused, or newer. */
  settle(source: string, productId: string, seq: number): void {
    this.#settle.run(source, productId, seq);
  }

  /** Products that the sink refuses. */
  productsOf(source: string): string[] {
    return this.#database
      .prepare('SELECT product_id FROM letters WHERE source = ?')
      .all(source)
      .map((row) => String(row.product_id));
  }

  get(id: number): DeadLetter | undefined {
    const row = this.#get.get(id);
    return row === undefined ? undefined : letterOf(row);
  }

  /** Up to `limit` letters behind `after` (an id), oldest first. */
  list(after: number, limit: number, { source, productId }: LetterFilter = {}): DeadLetter[] {
    const conditions = ['id > ?'];
    const values: SqlValue[] = [after];
    if (source !== undefined) {
      conditions.push('source = ?');
      values.push(source);
    }
    if (productId !== undefined) {
      conditions.push('product_id = ?');
      values.push(productId);
    }
    return this.#database
      .prepare(`SELECT * FROM letters WHERE ${conditions.join(' AND ')} ORDER BY id LIMIT ?`)
      .all(...values, limit)
      .map(letterOf);
  }

  /** Whether it was there. */
  remove(id: number): boolean {
    return this.#remove.run(id) > 0;
  }

  close(): void {
    this.#database.close();
  }
}

function put(conflict: string): string {
  return `
    INSERT INTO letters (source, product_id, seq, content, code, reason, first_ms, last_ms, times)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
    ON CONFLICT ${conflict} DO UPDATE SET
      seq = excluded.seq, content = excluded.content, code = excluded.code,
      reason = excluded.reason, last_ms = excluded.last_ms, times = times + 1`;
}

function letterOf(row: SqlRow): DeadLetter {
  return {
    id: Number(row.id),
    source: String(row.source),
    productId: String(row.product_id),
    seq: Number(row.seq),
    content: String(row.content),
    code: String(row.code),
    reason: String(row.reason),
    firstMs: Number(row.first_ms),
    lastMs: Number(row.last_ms),
    times: Number(row.times),
  };
}
