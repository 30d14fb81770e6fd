/**
 * What an applied event changed. Main thread.
 *
 * The state that a change carries is read from the store when the change is read: that of the event,
 * or a newer one. So the last change of a product always has its present state, if none that changed
 * something is left out. Left out is what is known to have changed nothing:
 *  - The product's version is older than the event: the event did not take effect.
 *  - Its version is newer, or it is not there, and the outcome says stale, refused or dead. Where the outcome
 *    is not known any more, the event is reported: the state is right, whatever it did.
 *  - It is no event: a batch's receipt, or the note that a product is forgotten.
 * A product that is not there was forgotten since and its place freed, if the event took effect: it is reported
 * as delisted, so that a follower who has not heard of that yet does.
 * A dead event that had taken effect before its applier died (version = seq) is reported like any other.
 */
import type { OutcomeReader } from '../outcome/outcome-window.ts';
import {
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  KIND_DELETE,
  KIND_UPSERT,
  metaIdBytes,
  metaKind,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_HASH,
  SLOT_ID,
  SLOT_ID_BYTE,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_SEQ,
  SLOT_WORDS,
} from '../ring/slot.ts';
import { isListed, type ProductState, type ReadResult } from '../store/product-repository.ts';
import type { Change } from './change.ts';
import type { EventBatch } from './event-batch.ts';

/** The seam to the store: a product by its id as it stands in a slot. */
export interface SlotProducts {
  /** What the last `readId` that answered `found` saw. */
  readonly state: ProductState;
  readId(id: Int32Array, at: number, idBytes: number, hash: number): ReadResult;
}

/**
 * - `changed`: what it changed is in `change`.
 * - `unchanged`: it changed nothing.
 * - `busy`: a writer holds the product; read again on a later turn.
 */
export type EventChange = 'changed' | 'unchanged' | 'busy';

export class EventChanges {
  /** What the last event read as `changed` did; the next one overwrites it. */
  get change(): Change {
    return this.#change;
  }

  readonly #products: SlotProducts;
  readonly #outcomes: Pick<OutcomeReader, 'outcomeOfApplied'>;
  /** One for all events: nothing is allocated for one but its product's id. */
  readonly #change = {
    seq: 0,
    productId: '',
    changedPrice: false,
    changedStock: false,
    occurredAtMs: 0,
    isDeleted: false,
    price: Number.NaN,
    stock: Number.NaN,
    version: 0,
  };

  constructor(products: SlotProducts, outcomes: Pick<OutcomeReader, 'outcomeOfApplied'>) {
    this.#products = products;
    this.#outcomes = outcomes;
  }

  /** Reads what event `index` of `batch`, which is applied, changed. */
  read({ slots, bytes }: EventBatch, index: number): EventChange {
    const { words, doubles } = slots;
    const w = index * SLOT_WORDS;
    const meta = words[w + SLOT_META];
    const kind = metaKind(meta);
    if (kind !== KIND_UPSERT && kind !== KIND_DELETE) return 'unchanged';
    const idBytes = metaIdBytes(meta);
    const hash = words[w + SLOT_HASH];
    const result = this.#products.readId(words, w + SLOT_ID, idBytes, hash);
    if (result === 'busy') return 'busy';
    const { state } = this.#products;
    const seq = doubles[index * SLOT_DOUBLES + SLOT_SEQ];
    const isThere = result === 'found';
    const version = isThere ? state.seq : seq;
    if (version < seq) return 'unchanged';
    if ((version > seq || !isThere) && this.#changedNothing(seq)) return 'unchanged';

    const occurredAtMs = doubles[index * SLOT_DOUBLES + SLOT_OCCURRED_AT];
    const id = index * SLOT_BYTES + SLOT_ID_BYTE;
    const isDelete = kind === KIND_DELETE;
    // A newer state has the times of later events; its own has the event's where it took effect. One
    // without a time of its own always does.
    const isKnown = isThere && version === seq && (meta & FLAG_ARRIVAL_TIME) === 0;
    const change = this.#change;
    change.seq = seq;
    change.productId = bytes.toString('utf8', id, id + idBytes);
    change.changedPrice =
      (isDelete || (meta & FLAG_HAS_PRICE) !== 0) && !(isKnown && state.priceAtMs !== occurredAtMs);
    change.changedStock =
      (isDelete || (meta & FLAG_HAS_STOCK) !== 0) && !(isKnown && state.stockAtMs !== occurredAtMs);
    change.occurredAtMs = occurredAtMs;
    change.isDeleted = !isThere || !isListed(state);
    change.price = isThere ? state.price : Number.NaN;
    change.stock = isThere ? state.stock : Number.NaN;
    change.version = version;
    return 'changed';
  }

  #changedNothing(seq: number): boolean {
    const outcome = this.#outcomes.outcomeOfApplied(seq);
    return outcome === 'stale' || outcome === 'refused' || outcome === 'dead';
  }
}
