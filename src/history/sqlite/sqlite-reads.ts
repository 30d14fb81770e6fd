/**
 * Reads the history's file, one snapshot after the other. A thread of its own, which it blocks: a page that is not
 * in memory waits for the disk.
 */
import { Database } from '../../sqlite/database.ts';
import type { HistoryReads, HistoryRow, HistoryView } from '../history-store.ts';
import type { FieldNumber, Mark } from '../mark.ts';
import type { Run } from '../run.ts';
import { HistoryRows } from './history-rows.ts';
import { markOf, runOf } from './run-table.ts';

const BUSY_MS = 5000;

export class SqliteReads implements HistoryReads {
  readonly #path: string;
  #file: FileView | undefined;
  /** The snapshot that is under way. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  snapshot<T>(read: (view: HistoryView) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#snapshot(read));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#file?.database.close();
    this.#file = undefined;
  }

  async #snapshot<T>(read: (view: HistoryView) => Promise<T>): Promise<T> {
    try {
      this.#file ??= new FileView(this.#path);
      const { database } = this.#file;
      database.begin();
      const result = await read(this.#file);
      database.end();
      return result;
    } catch (error) {
      // The file may have been removed or replaced: the next one opens it anew.
      await this.close();
      throw error;
    }
  }
}

/** What it shows is one state between `begin` and `end` of the database. */
class FileView implements HistoryView {
  readonly database: Database;
  readonly #rows: HistoryRows;
  readonly #place;
  readonly #newest;
  readonly #before;
  readonly #upTo;
  readonly #behind;

  /** Throws what SQLite says where there is no file. */
  constructor(path: string) {
    const database = new Database({ path, busyMs: BUSY_MS, flush: 'normal', isReadOnly: true });
    this.database = database;
    try {
      this.#rows = new HistoryRows(database);
      this.#place = database.prepare('SELECT seq FROM place');
      const runs = 'SELECT at, seq, value, again FROM runs WHERE product = ? AND field = ?';
      this.#newest = database.prepare(
        'SELECT at, seq, value FROM runs WHERE product = ? AND field = ? ORDER BY at DESC LIMIT ?',
      );
      this.#before = database.prepare(`${runs} AND at < ? ORDER BY at DESC LIMIT ?`);
      this.#upTo = database.prepare(`${runs} AND at <= ? ORDER BY at DESC LIMIT 1`);
      this.#behind = database.prepare(`${runs} AND at > ? ORDER BY at LIMIT ?`);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  get place(): number {
    return Number(this.#place.get()?.seq);
  }

  async rows(ids: readonly string[]): Promise<readonly (HistoryRow | undefined)[]> {
    return ids.map((id) => this.#rows.find(id));
  }

  async newest(
    products: readonly number[],
    field: FieldNumber,
    count: number,
  ): Promise<readonly (readonly Mark[])[]> {
    return products.map((product) => this.#newest.all(product, field, count).map(markOf));
  }

  async before(
    product: number,
    field: FieldNumber,
    beforeMs: number,
    count: number,
  ): Promise<readonly Run[]> {
    return this.#before.all(product, field, beforeMs, count).map(runOf);
  }

  async upTo(product: number, field: FieldNumber, atMs: number): Promise<Run | undefined> {
    const [row] = this.#upTo.all(product, field, atMs);
    return row && runOf(row);
  }

  async behind(
    product: number,
    field: FieldNumber,
    behindMs: number,
    count: number,
  ): Promise<readonly Run[]> {
    return this.#behind.all(product, field, behindMs, count).map(runOf);
  }
}
