/**
 * What an applied event did, as JSON text. Main thread.
 *
 * The state that a message carries is read from the store when it is told: that of the event, or a
 * newer one. So the last message of a product always has its present state, if none that changed
 * something is left out. Left out is what is known to have changed nothing:
 *  - The product is not there, or its version is older than the event: the event did not take effect.
 *  - Its version is newer, and the outcome says stale, refused or dead. Where the outcome is not
 *    known any more, the event is told: the state is right, whatever it did.
 * An event that was set aside although it had taken effect (version = seq) is told like any other.
 */
import type { OutcomeReader } from '../outcome/outcome-window.ts';
import {
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  KIND_DELETE,
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
import { timeText } from '../time/microseconds.ts';
import type { EventBatch } from './event-batch.ts';

/** The seam to the store: a product by its id as it stands in a slot. */
export interface SlotProducts {
  /** What the last `readId` that answered `found` saw. */
  readonly state: ProductState;
  readId(id: Int32Array, at: number, idBytes: number, hash: number): ReadResult;
}

/** Both fields were written; most events do. */
const PRICE_AND_STOCK = '["price","stock"]';

export class ChangeTeller {
  readonly #products: SlotProducts;
  readonly #outcomes: Pick<OutcomeReader, 'outcomeOfApplied'>;

  constructor(products: SlotProducts, outcomes: Pick<OutcomeReader, 'outcomeOfApplied'>) {
    this.#products = products;
    this.#outcomes = outcomes;
  }

  /**
   * Tells event `index` of `batch`, which is applied. `''`: it changed nothing. `undefined`: a writer
   * holds the product; ask again on a later turn.
   */
  tell({ slots, bytes }: EventBatch, index: number): string | undefined {
    const { words, doubles } = slots;
    const w = index * SLOT_WORDS;
    const meta = words[w + SLOT_META] as number;
    const idBytes = metaIdBytes(meta);
    const hash = words[w + SLOT_HASH] as number;
    const result = this.#products.readId(words, w + SLOT_ID, idBytes, hash);
    if (result === 'busy') return undefined;
    const { state } = this.#products;
    const seq = doubles[index * SLOT_DOUBLES + SLOT_SEQ] as number;
    if (result === 'missing' || state.seq < seq) return '';
    if (state.seq > seq && this.#changedNothing(seq)) return '';

    const occurredAtMs = doubles[index * SLOT_DOUBLES + SLOT_OCCURRED_AT] as number;
    const id = index * SLOT_BYTES + SLOT_ID_BYTE;
    const productId = bytes.toString('utf8', id, id + idBytes);
    return (
      `{"seq":${seq},"product_id":${JSON.stringify(productId)}` +
      `,"changed":${changed(meta, seq, occurredAtMs, state)}` +
      `,"occurred_at":"${timeText(occurredAtMs)}"` +
      `,"deleted":${!isListed(state)},"price":${json(state.price)},"stock":${json(state.stock)}` +
      `,"version":${state.seq}}`
    );
  }

  #changedNothing(seq: number): boolean {
    const outcome = this.#outcomes.outcomeOfApplied(seq);
    return outcome === 'stale' || outcome === 'refused' || outcome === 'dead';
  }
}

/** The fields that the event wrote, without those known to have been newer. */
function changed(meta: number, seq: number, occurredAtMs: number, state: ProductState): string {
  const isDelete = metaKind(meta) === KIND_DELETE;
  // A newer state has the times of later events; its own has the event's where it took effect. One
  // without a time of its own always does.
  const isKnown = state.seq === seq && (meta & FLAG_ARRIVAL_TIME) === 0;
  const took = (flag: number, fieldAtMs: number) =>
    (isDelete || (meta & flag) !== 0) && !(isKnown && fieldAtMs !== occurredAtMs);
  const price = took(FLAG_HAS_PRICE, state.priceAtMs);
  const stock = took(FLAG_HAS_STOCK, state.stockAtMs);
  if (price && stock) return PRICE_AND_STOCK;
  return price ? '["price"]' : '["stock"]';
}

/** NaN, an absent field, is null. */
function json(value: number): string {
  return Number.isNaN(value) ? 'null' : String(value);
}
