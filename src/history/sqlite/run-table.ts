/** The runs of each field in the history's file. The history's own thread; inside a transaction. */
import type { Database, SqlRow } from '../../sqlite/database.ts';
import type { FieldNumber, Mark } from '../mark.ts';
import { editRuns, isSameRun, lastAtMs, marksOf, packRuns, type Run } from '../run.ts';

const COLUMNS = 'at, seq, value, again';
const OF_FIELD = 'FROM runs WHERE product = ? AND field = ?';

export class RunTable {
  readonly #last;
  readonly #upTo;
  readonly #behind;
  readonly #put;
  readonly #remove;

  constructor(database: Database) {
    this.#last = database.prepare(`SELECT ${COLUMNS} ${OF_FIELD} ORDER BY at DESC LIMIT 1`);
    this.#upTo = database.prepare(
      `SELECT ${COLUMNS} ${OF_FIELD} AND at <= ? ORDER BY at DESC LIMIT 2`,
    );
    this.#behind = database.prepare(`SELECT ${COLUMNS} ${OF_FIELD} AND at > ? ORDER BY at LIMIT 1`);
    this.#put = database.prepare('INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)');
    this.#remove = database.prepare('DELETE FROM runs WHERE product = ? AND field = ? AND at = ?');
  }

  /**
   * Puts `marks` (ascending, each moment once) in their places in the history of a field, whose last run is
   * `tail`; returns its last run after that.
   */
  put(
    product: number,
    field: FieldNumber,
    before: Run | undefined,
    marks: readonly Mark[],
  ): Run | undefined {
    let tail = before;
    for (const [i, mark] of marks.entries()) {
      if (tail === undefined || mark.atMs > lastAtMs(tail)) {
        return this.#append(product, field, tail, marks.slice(i));
      }
      this.#insert(product, field, mark);
      tail = this.tail(product, field);
    }
    return tail;
  }

  /** The last run of a field. */
  tail(product: number, field: FieldNumber): Run | undefined {
    const row = this.#last.get(product, field);
    return row === undefined ? undefined : runOf(row);
  }

  /** Most events come in order: only the last run changes. Returns the last one. */
  #append(
    product: number,
    field: FieldNumber,
    tail: Run | undefined,
    marks: readonly Mark[],
  ): Run | undefined {
    const isMore = tail?.value === marks[0].value;
    const runs = packRuns(isMore ? [...marksOf(tail), ...marks] : marks);
    for (const run of runs) {
      if (tail === undefined || !isSameRun(run, tail)) this.#store(product, field, run);
    }
    return runs.at(-1);
  }

  /** A late event may split the run it falls into, or join the ones around it. */
  #insert(product: number, field: FieldNumber, mark: Mark): void {
    const before = this.#upTo.all(product, field, mark.atMs).map(runOf).toReversed();
    const old = [...before, ...this.#behind.all(product, field, mark.atMs).map(runOf)];
    const { removed, put } = editRuns(old, [mark]);
    for (const atMs of removed) this.#remove.run(product, field, atMs);
    for (const run of put) this.#store(product, field, run);
  }

  #store(product: number, field: FieldNumber, { atMs, seq, value, again }: Run): void {
    this.#put.run(product, field, atMs, seq, value, again);
  }
}

/** A row with the columns at, seq and value. */
export function markOf(row: SqlRow): Mark {
  return {
    atMs: row.at as number,
    seq: row.seq as number,
    value: row.value as number | null,
  };
}

/** A row with these and again. */
export function runOf(row: SqlRow): Run {
  return {
    atMs: row.at as number,
    seq: row.seq as number,
    value: row.value as number | null,
    again: row.again as Uint8Array | null,
  };
}
