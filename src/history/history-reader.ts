/**
 * Answers from the history's file. A thread of its own runs it: a page that is not in memory waits for the
 * disk, which is nothing for the main thread. Each answer is of one state of the file, with its place.
 */
import { Database } from '../sqlite/database.ts';
import type {
  HistoryAnswers,
  HistoryAsk,
  HistoryPage,
  PastState,
  Placed,
  ProductPriorPrice,
} from './history-messages.ts';
import { FIELD_PRICE, FIELD_STOCK, type FieldNumber, type Mark, WHOLE } from './mark.ts';
import { type PriorPriceRule, priorPrice } from './prior-price.ts';
import { marksOf } from './run.ts';
import { runOf } from './run-table.ts';

/** Rows read at a time: an open cursor would keep the write-ahead log from being used again. */
const ROWS = 64;
const BUSY_MS = 5000;

interface Row {
  readonly no: number;
  readonly version: number;
  readonly isListed: boolean;
  /** By the field's number. */
  readonly wholeFromMs: readonly [number, number];
}

export class HistoryReader {
  readonly #database: Database;
  readonly #product;
  readonly #place;
  readonly #before;
  readonly #upTo;
  readonly #behind;

  /** Opens the file; throws what SQLite says where there is none. */
  constructor(path: string) {
    const database = new Database({ path, busyMs: BUSY_MS, flush: 'normal', isReadOnly: true });
    this.#database = database;
    this.#product = database.prepare(
      'SELECT no, version, price, stock, price_whole_from, stock_whole_from FROM products WHERE id = ?',
    );
    this.#place = database.prepare('SELECT seq FROM place');
    const runs = 'SELECT at, seq, value, again FROM runs WHERE product = ? AND field = ?';
    this.#before = database.prepare(`${runs} AND at < ? ORDER BY at DESC LIMIT ?`);
    this.#upTo = database.prepare(`${runs} AND at <= ? ORDER BY at DESC LIMIT ?`);
    this.#behind = database.prepare(`${runs} AND at > ? ORDER BY at LIMIT ?`);
  }

  answer<K extends HistoryAsk['kind']>(ask: HistoryAsk & { kind: K }): Placed<HistoryAnswers[K]>;
  answer(ask: HistoryAsk): Placed<HistoryAnswers[HistoryAsk['kind']]> {
    return this.#database.snapshot(() => {
      const place = this.#place.get()?.seq as number;
      switch (ask.kind) {
        case 'page':
          return { place, found: this.#page(ask) };
        case 'state':
          return { place, found: this.#state(ask.id, ask.atMs) };
        case 'prior':
          return { place, found: ask.ids.map((id) => this.#prior(id, ask.rule)) };
      }
    });
  }

  close(): void {
    this.#database.close();
  }

  #row(id: string): Row | undefined {
    const row = this.#product.get(id);
    if (row === undefined) return undefined;
    return {
      no: row.no as number,
      version: row.version as number,
      isListed: row.price !== null || row.stock !== null,
      wholeFromMs: [
        (row.price_whole_from ?? WHOLE) as number,
        (row.stock_whole_from ?? WHOLE) as number,
      ],
    };
  }

  #prior(id: string, rule: PriorPriceRule): ProductPriorPrice | undefined {
    const row = this.#row(id);
    if (row === undefined || !row.isListed) return undefined;
    const marks = this.#newestFirst(row.no, FIELD_PRICE);
    const found = priorPrice(marks, row.wholeFromMs[FIELD_PRICE], rule);
    return { id, version: row.version, ...found };
  }

  #state(id: string, atMs: number): PastState | undefined {
    const row = this.#row(id);
    if (row === undefined) return undefined;
    return {
      price: this.#markAt(row.no, FIELD_PRICE, atMs),
      stock: this.#markAt(row.no, FIELD_STOCK, atMs),
      wholeFromMs: Math.max(...row.wholeFromMs),
      version: row.version,
    };
  }

  #page(ask: HistoryAsk & { kind: 'page' }): HistoryPage | undefined {
    const row = this.#row(ask.id);
    if (row === undefined) return undefined;
    const field = ask.field === 'price' ? FIELD_PRICE : FIELD_STOCK;
    const entries: Mark[] = [];
    let behindMs = ask.afterMs ?? ask.fromMs;
    let last: Mark | undefined;
    if (ask.afterMs !== undefined) {
      last = this.#markAt(row.no, field, ask.afterMs);
    } else {
      last = this.#beginningAt(row.no, field, ask.fromMs);
      if (last !== undefined && last.atMs < ask.toMs) entries.push(last);
    }
    for (let isEnd = false; !isEnd && entries.length <= ask.limit; ) {
      const rows = this.#behind.all(row.no, field, behindMs, ROWS).map(runOf);
      isEnd = rows.length < ROWS;
      for (const { atMs, seq, value } of rows) {
        behindMs = atMs;
        if (atMs >= ask.toMs) {
          isEnd = true;
          break;
        }
        if (last?.value === value) continue;
        last = { atMs, seq, value };
        entries.push(last);
      }
    }
    return {
      entries: entries.slice(0, ask.limit),
      hasMore: entries.length > ask.limit,
      wholeFromMs: row.wholeFromMs[field],
    };
  }

  /** The last time that a field was said, up to `atMs`. */
  #markAt(product: number, field: FieldNumber, atMs: number): Mark | undefined {
    const [row] = this.#upTo.all(product, field, atMs, 1);
    return row === undefined
      ? undefined
      : marksOf(runOf(row)).findLast((each) => each.atMs <= atMs);
  }

  /** When the value that is in force at `atMs` became it. */
  #beginningAt(product: number, field: FieldNumber, atMs: number): Mark | undefined {
    const [row] = this.#upTo.all(product, field, atMs, 1);
    if (row === undefined) return undefined;
    let { again: _, ...beginning } = runOf(row);
    for (const mark of this.#newestFirst(product, field, beginning.atMs)) {
      if (mark.value !== beginning.value) break;
      beginning = mark;
    }
    return beginning;
  }

  /** Where each run of a field begins, newest first, from before `beforeMs`. */
  *#newestFirst(
    product: number,
    field: FieldNumber,
    beforeMs = Number.POSITIVE_INFINITY,
  ): Iterable<Mark> {
    for (let before = beforeMs; ; ) {
      const rows = this.#before.all(product, field, before, ROWS);
      for (const row of rows) {
        yield { atMs: row.at as number, seq: row.seq as number, value: row.value as number | null };
      }
      if (rows.length < ROWS) return;
      before = rows.at(-1)?.at as number;
    }
  }
}
