/**
 * What events say of the history, many at a time, and the place behind them. The history's own thread; where it
 * is kept is the store's.
 *
 * What an event says is decided as the products' store decides it, from the events before it alone:
 *  - One that came without a time counts from its arrival, or from the latest time that its field had before
 *    where that is later: in the history as in the state, it is always the newest word.
 *  - One whose condition did not hold says nothing. Where what became of it is not known any more, its
 *    condition is judged again by the product's state at this place.
 * A stale event changes no state, but it changes the history: it takes its place in the past.
 */

import { EXPECTED_ANY, EXPECTED_UNLISTED } from '../ring/slot.ts';
import { type FieldState, fillGap, fillGone, type GapEnd, type PresentState } from './gap.ts';
import type { FieldRow, HistoryRow, HistoryStore } from './history-store.ts';
import { FIELD_PRICE, FIELD_STOCK, type FieldNumber, WHOLE } from './mark.ts';
import { putMark } from './run.ts';

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
  readonly #store: HistoryStore;
  /** As they are kept, with what is not yet written; some, since a look costs as much as a write. */
  readonly #products = new Map<string, ProductState>();
  /** Those of which something is not yet written. */
  readonly #changed = new Set<ProductState>();
  #place = 0;
  #prunedToMs = WHOLE;

  constructor(store: HistoryStore) {
    this.#store = store;
  }

  /** The last event that is kept. */
  get place(): number {
    return this.#place;
  }

  /** Products that are changed and not yet written. */
  get pending(): number {
    return this.#changed.size;
  }

  /** Opens the store, and forgets what was not written. Rejects with what it says. */
  async open(): Promise<void> {
    this.forget();
    const { seq, prunedToMs } = await this.#store.open();
    this.#place = seq;
    this.#prunedToMs = prunedToMs;
  }

  /** Forgets what is known of products: something is not written and will not be, or somebody else wrote. */
  forget(): void {
    this.#products.clear();
    this.#changed.clear();
  }

  /** Takes the next events. Rejects with what the store says; then the writer must be opened again. */
  async take(events: readonly HistoryEvent[]): Promise<void> {
    await this.#load(events.map(({ productId }) => productId));
    for (const event of events) this.#take(event);
  }

  /** Takes products as they are at the end of a gap. Rejects as `take` does. */
  async takePresent(states: readonly PresentState[], gap: GapEnd): Promise<void> {
    await this.#load(states.map(({ id }) => id));
    for (const state of states) {
      const product = this.#product(state.id);
      fillGap(product.fields, product.version, state, gap);
      product.version = state.seq;
      this.#noteChanged(product);
    }
  }

  /** Takes products that it knows, and that are no more at the end of a gap. Rejects as `take` does. */
  async takeGone(ids: readonly string[], gap: GapEnd): Promise<void> {
    await this.#load(ids);
    for (const id of ids) {
      const product = this.#product(id);
      fillGone(product.fields, gap);
      this.#noteChanged(product);
    }
  }

  /** Products that it does not know are whole from then on. */
  raisePruned(toMs: number): void {
    this.#prunedToMs = Math.max(this.#prunedToMs, toMs);
  }

  /** Prunes some products, all being written; see HistoryStore. Rejects as `take` does. */
  async prune(horizonMs: number, afterNo: number): Promise<number | undefined> {
    const last = await this.#store.prune(horizonMs, afterNo);
    this.raisePruned(horizonMs);
    // What it knew of products is not so any more.
    this.forget();
    return last;
  }

  /** Writes all that was taken, and that the history has everything up to `seq`. Rejects as `take` does. */
  async commit(seq: number): Promise<void> {
    await this.#store.write(this.#changed, { seq, prunedToMs: this.#prunedToMs });
    for (const { fields } of this.#changed) {
      for (const field of fields) field.marks = [];
    }
    this.#changed.clear();
    if (this.#products.size > PRODUCTS_KNOWN_MAX) this.#products.clear();
    this.#place = seq;
  }

  /** Forgets everything: the history is that of another log. Rejects as `take` does. */
  async clear(reason: string): Promise<void> {
    await this.#store.clear(reason);
    await this.open();
  }

  #noteChanged(product: ProductState): void {
    const isSaid = product.fields.some(({ marks }) => marks.length > 0);
    // Of one that it knows, since when it is whole may have changed.
    if (isSaid || product.no !== 0) this.#changed.add(product);
  }

  /** Looks for those of `ids` that are not known. */
  async #load(ids: readonly string[]): Promise<void> {
    const unknown = [...new Set(ids)].filter((id) => !this.#products.has(id));
    if (unknown.length === 0) return;
    for (const row of await this.#store.find(unknown)) this.#products.set(row.id, stateOf(row));
    for (const id of unknown) {
      if (!this.#products.has(id)) this.#products.set(id, newState(id, this.#prunedToMs));
    }
  }

  #product(id: string): ProductState {
    const product = this.#products.get(id);
    if (product === undefined) throw new Error(`expected ${id} to be looked for before`);
    return product;
  }

  #take(event: HistoryEvent): void {
    const product = this.#product(event.productId);
    if (!event.isJudged && !isMet(event.expectedSeq, product)) return;
    const tookPrice = this.#say(product, FIELD_PRICE, event.price, event);
    const tookStock = this.#say(product, FIELD_STOCK, event.stock, event);
    if (tookPrice || tookStock) product.version = event.seq;
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
}

function stateOf({ no, id, version, fields: [price, stock] }: HistoryRow): ProductState {
  const known = (field: FieldRow): FieldState => ({ ...field, marks: [], tail: null });
  return { no, id, version, fields: [known(price), known(stock)] };
}

function newState(id: string, wholeFromMs: number): ProductState {
  const field = (): FieldState => ({
    value: null,
    atMs: Number.NEGATIVE_INFINITY,
    wholeFromMs,
    marks: [],
    tail: undefined,
  });
  return { no: 0, id, version: 0, fields: [field(), field()] };
}

/** The applier's rule, on the product as it was before the event. */
function isMet(expectedSeq: number, { version, fields }: ProductState): boolean {
  if (expectedSeq === 0) return true;
  const isListed = fields.some(({ value }) => value !== null);
  if (expectedSeq === EXPECTED_UNLISTED) return !isListed;
  return isListed && (expectedSeq === EXPECTED_ANY || expectedSeq === version);
}
