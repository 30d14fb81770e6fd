/**
 * The history in a file of SQLite, DATA_DIR/history.sqlite; the data folder's lock makes the service the one that
 * writes it. The history's own thread, which it blocks.
 */
import { Database } from '../../sqlite/database.ts';
import type {
  FieldChange,
  HistoryPlace,
  HistoryRow,
  HistoryStore,
  ProductChange,
} from '../history-store.ts';
import { FIELD_PRICE, FIELD_STOCK, type FieldNumber, WHOLE } from '../mark.ts';
import { HistoryPruning } from './history-pruning.ts';
import { HistoryRows } from './history-rows.ts';
import { HISTORY_MIGRATIONS } from './history-schema.ts';
import { RunTable } from './run-table.ts';

const BUSY_MS = 5000;

export class SqliteHistory implements HistoryStore {
  readonly #path: string;
  #file: OpenHistory | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<HistoryPlace> {
    await this.close();
    const database = new Database({
      path: this.#path,
      busyMs: BUSY_MS,
      flush: 'normal',
      checkpoints: 'own',
    });
    try {
      database.migrate(HISTORY_MIGRATIONS);
      this.#file = new OpenHistory(database);
      return this.#file.place();
    } catch (error) {
      database.close();
      throw error;
    }
  }

  async find(ids: readonly string[]): Promise<readonly HistoryRow[]> {
    const { rows } = this.#opened;
    return ids.flatMap((id) => rows.find(id) ?? []);
  }

  async findListed(afterNo: number, count: number): Promise<readonly HistoryRow[]> {
    return this.#opened.rows.listed(afterNo, count);
  }

  async write(changes: Iterable<ProductChange>, place: HistoryPlace): Promise<void> {
    this.#opened.write(changes, place);
  }

  async flush(): Promise<boolean> {
    return this.#opened.database.checkpoint();
  }

  async prune(horizonMs: number, afterNo: number): Promise<number | undefined> {
    return this.#opened.pruning.step(horizonMs, afterNo);
  }

  async clear(): Promise<void> {
    this.#opened.clear();
  }

  async beat(): Promise<void> {}

  async close(): Promise<void> {
    this.#file?.database.close();
    this.#file = undefined;
  }

  get #opened(): OpenHistory {
    if (this.#file === undefined) throw new Error('the file is not open');
    return this.#file;
  }
}

class OpenHistory {
  readonly database: Database;
  readonly rows: HistoryRows;
  readonly pruning: HistoryPruning;
  readonly #runs: RunTable;
  readonly #add;
  readonly #update;
  readonly #getPlace;
  readonly #setPlace;

  constructor(database: Database) {
    this.database = database;
    this.rows = new HistoryRows(database);
    this.pruning = new HistoryPruning(database);
    this.#runs = new RunTable(database);
    this.#add = database.prepare(
      'INSERT INTO products (version, price, price_at, price_whole_from, stock, stock_at, ' +
        'stock_whole_from, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING no',
    );
    this.#update = database.prepare(
      'UPDATE products SET version = ?, price = ?, price_at = ?, price_whole_from = ?, stock = ?, ' +
        'stock_at = ?, stock_whole_from = ? WHERE no = ?',
    );
    this.#getPlace = database.prepare('SELECT seq, pruned_to FROM place');
    this.#setPlace = database.prepare('UPDATE place SET seq = ?, pruned_to = max(pruned_to, ?)');
  }

  place(): HistoryPlace {
    const row = this.#getPlace.get();
    return { seq: Number(row?.seq), prunedToMs: Number(row?.pruned_to) };
  }

  write(changes: Iterable<ProductChange>, { seq, prunedToMs }: HistoryPlace): void {
    this.database.transaction(() => {
      for (const product of changes) this.#write(product);
      this.#setPlace.run(seq, prunedToMs);
    });
  }

  clear(): void {
    this.database.transaction(() => {
      for (const table of ['products', 'runs']) {
        this.database.prepare(`DELETE FROM ${table}`).run();
      }
      this.database.prepare('UPDATE place SET seq = 0, pruned_to = ?').run(WHOLE);
    });
  }

  #write(product: ProductChange): void {
    const [price, stock] = product.fields;
    const columns = [
      product.version,
      ...[price, stock].flatMap(({ value, atMs, wholeFromMs }) => [
        value,
        atMs,
        wholeFromMs === WHOLE ? null : wholeFromMs,
      ]),
    ];
    if (product.no === 0) product.no = this.#add.get(...columns, product.id)?.no as number;
    else this.#update.run(...columns, product.no);
    this.#writeMarks(product.no, FIELD_PRICE, price);
    this.#writeMarks(product.no, FIELD_STOCK, stock);
  }

  #writeMarks(product: number, number: FieldNumber, field: FieldChange): void {
    if (field.marks.length === 0) return;
    const tail = field.tail === null ? this.#runs.tail(product, number) : field.tail;
    field.tail = this.#runs.put(product, number, tail, field.marks);
  }
}
