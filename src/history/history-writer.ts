/**
 * Writes events to the history, many in one transaction with the place behind them: so whatever dies, each
 * is in it exactly once. The history's own thread.
 *
 * What an event says is decided as the store decides it, from the events before it alone:
 *  - One that came without a time counts from its arrival, or from the latest time that its field had before
 *    where that is later: in the history as in the state, it is always the newest word.
 *  - One whose condition did not hold says nothing. Where what became of it is not known any more, its
 *    condition is judged again by the product's state at this place.
 * A stale event changes no state, but it changes the history: it takes its place in the past.
 */

import { EXPECTED_ANY, EXPECTED_UNLISTED } from '../ring/slot.ts';
import type { Database } from '../sqlite/database.ts';
import { FIELD_PRICE, FIELD_STOCK, type FieldNumber, type Mark, WHOLE } from './mark.ts';
import { putMark, type Run } from './run.ts';
import { RunTable } from './run-table.ts';

/** What an event says. */
export interface HistoryEvent {
  readonly seq: number;
  readonly productId: string;
  /** null = delisted; undefined = it says nothing of this field. */
  readonly price: number | null | undefined;
  readonly stock: number | null | undefined;
  readonly occurredAtMs: number;
  /** It has no time of its own; `occurredAtMs` is its arrival's. */
  readonly isArrival: boolean;
  /** As in a slot; 0 = no condition. */
  readonly expectedSeq: number;
  /** Whether it is known that its condition held. */
  readonly isJudged: boolean;
}

/** A product's present state, read from the store where the log does not tell how it came about. */
export interface PresentState {
  readonly id: string;
  readonly seq: number;
  readonly price: number | null;
  readonly priceAtMs: number;
  readonly stock: number | null;
  readonly stockAtMs: number;
}

interface FieldState {
  value: number | null;
  /** −Infinity = never set. */
  atMs: number;
  wholeFromMs: number;
  /** Not yet written; ascending. */
  marks: Mark[];
  /** The last run in the file; null = not read yet. */
  tail: Run | undefined | null;
}

interface ProductState {
  /** 0 = it has no row yet. */
  no: number;
  readonly id: string;
  version: number;
  readonly fields: readonly [FieldState, FieldState];
}

/** Products whose rows are kept in memory between two transactions: some 10 MB. */
const PRODUCTS_KNOWN_MAX = 16_384;

export class HistoryWriter {
  readonly #database: Database;
  readonly #runs: RunTable;
  readonly #find;
  readonly #add;
  readonly #update;
  readonly #setPlace;
  /** As they are in the file, with what is not yet written; some, since a look costs as much as a write. */
  readonly #products = new Map<string, ProductState>();
  /** Those of which something is not yet written. */
  readonly #changed = new Set<ProductState>();
  #place = 0;
  #prunedToMs = WHOLE;

  constructor(database: Database) {
    this.#database = database;
    this.#runs = new RunTable(database);
    this.#find = database.prepare(
      'SELECT no, version, price, price_at, price_whole_from, stock, stock_at, stock_whole_from ' +
        'FROM products WHERE id = ?',
    );
    this.#add = database.prepare(
      'INSERT INTO products (version, price, price_at, price_whole_from, stock, stock_at, ' +
        'stock_whole_from, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING no',
    );
    this.#update = database.prepare(
      'UPDATE products SET version = ?, price = ?, price_at = ?, price_whole_from = ?, stock = ?, ' +
        'stock_at = ?, stock_whole_from = ? WHERE no = ?',
    );
    this.#setPlace = database.prepare('UPDATE place SET seq = ?');
    this.rollBack();
  }

  /** The last event that is in the file. */
  get place(): number {
    return this.#place;
  }

  /** Products that are changed and not yet written. */
  get pending(): number {
    return this.#changed.size;
  }

  /** Forgets what is not yet written, and what is known of the file: somebody else wrote to it. */
  rollBack(): void {
    this.#products.clear();
    this.#changed.clear();
    const row = this.#database.prepare('SELECT seq, pruned_to FROM place').get();
    this.#place = Number(row?.seq);
    this.#prunedToMs = Number(row?.pruned_to);
  }

  /** Takes the next event; `commit` writes it. */
  take(event: HistoryEvent): void {
    const product = this.#product(event.productId);
    if (!event.isJudged && !isMet(event.expectedSeq, product)) return;
    const tookPrice = this.#say(product, FIELD_PRICE, event.price, event);
    const tookStock = this.#say(product, FIELD_STOCK, event.stock, event);
    if (tookPrice || tookStock) product.version = event.seq;
  }

  /** Takes a product's present state, before which its history has a gap. */
  takePresent({ id, seq, price, priceAtMs, stock, stockAtMs }: PresentState): void {
    const product = this.#product(id);
    product.version = seq;
    this.#changed.add(product);
    const [ofPrice, ofStock] = product.fields;
    beginAnew(ofPrice, { atMs: priceAtMs, seq, value: price });
    beginAnew(ofStock, { atMs: stockAtMs, seq, value: stock });
  }

  /** Writes all that was taken, and that the history has everything up to `place`. */
  commit(place: number): void {
    this.#database.transaction(() => {
      for (const product of this.#changed) this.#write(product);
      this.#setPlace.run(place);
    });
    this.#changed.clear();
    if (this.#products.size > PRODUCTS_KNOWN_MAX) this.#products.clear();
    this.#place = place;
  }

  /** Forgets everything: the history is that of another log. */
  clear(): void {
    this.#database.transaction(() => {
      for (const table of ['products', 'runs'])
        this.#database.prepare(`DELETE FROM ${table}`).run();
      this.#database.prepare('UPDATE place SET seq = 0, pruned_to = ?').run(WHOLE);
    });
    this.rollBack();
  }

  #product(id: string): ProductState {
    const known = this.#products.get(id);
    if (known !== undefined) return known;
    const row = this.#find.get(id);
    const field = (name: 'price' | 'stock'): FieldState => ({
      value: (row?.[name] ?? null) as number | null,
      atMs: (row?.[`${name}_at`] ?? Number.NEGATIVE_INFINITY) as number,
      wholeFromMs: (row === undefined
        ? this.#prunedToMs
        : (row[`${name}_whole_from`] ?? WHOLE)) as number,
      marks: [],
      tail: row === undefined ? undefined : null,
    });
    const product = {
      no: (row?.no ?? 0) as number,
      id,
      version: (row?.version ?? 0) as number,
      fields: [field('price'), field('stock')],
    } as const;
    this.#products.set(id, product);
    return product;
  }

  /** Notes what an event says of a field; whether the state of the field takes it. */
  #say(
    product: ProductState,
    number: FieldNumber,
    value: number | null | undefined,
    { seq, occurredAtMs, isArrival }: HistoryEvent,
  ): boolean {
    if (value === undefined) return false;
    const field = product.fields[number];
    const atMs = isArrival ? Math.max(occurredAtMs, field.atMs) : occurredAtMs;
    putMark(field.marks, { atMs, seq, value });
    this.#changed.add(product);
    if (atMs < field.atMs) return false;
    field.value = value;
    field.atMs = atMs;
    return true;
  }

  #write(product: ProductState): void {
    const [price, stock] = product.fields;
    // Nothing was said of it: its event was refused.
    if (price.marks.length + stock.marks.length === 0) return;
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

  #writeMarks(product: number, number: FieldNumber, field: FieldState): void {
    if (field.marks.length === 0) return;
    const tail = field.tail === null ? this.#runs.tail(product, number) : field.tail;
    field.tail = this.#runs.put(product, number, tail, field.marks);
    field.marks = [];
  }
}

/** The applier's rule, on the product as it was before the event. */
function isMet(expectedSeq: number, { version, fields }: ProductState): boolean {
  if (expectedSeq === 0) return true;
  const isListed = fields.some(({ value }) => value !== null);
  if (expectedSeq === EXPECTED_UNLISTED) return !isListed;
  return isListed && (expectedSeq === EXPECTED_ANY || expectedSeq === version);
}

function beginAnew(field: FieldState, mark: Mark): void {
  if (mark.atMs === Number.NEGATIVE_INFINITY) return;
  putMark(field.marks, mark);
  field.value = mark.value;
  field.atMs = mark.atMs;
  field.wholeFromMs = mark.atMs;
}
