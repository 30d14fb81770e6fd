/**
 * An event as a slot has it (ring/slot.ts). The one encoder: bulk/hot-parser.ts writes the same from bytes
 * without an event in between, and test/bulk/agreement.test.ts holds it to this, bit by bit. Main thread.
 */
import { encodeProductIdWords } from '../ring/id-bytes.ts';
import {
  EXPECTED_UNLISTED,
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  FLAG_IF_UNLISTED,
  KIND_DELETE,
  KIND_UPSERT,
  packMeta,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_FINGERPRINT,
  SLOT_ID,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_SEQ,
  SLOT_STOCK,
  SLOT_WORDS,
  type SlotViews,
  TIME_OF_THE_LOG,
} from '../ring/slot.ts';
import { putFingerprint } from './fingerprint.ts';
import type { ProductEvent } from './product-event.ts';

/**
 * Writes `event` to slot `index` of `slots`, whole but for the hash, which the admission writes.
 * Throws where a validated event can not be: what gets into a slot is on disk for good.
 */
export function encodeEvent(event: ProductEvent, slots: SlotViews, index: number): void {
  const { words, doubles } = slots;
  const w = index * SLOT_WORDS;
  const d = index * SLOT_DOUBLES;
  const { price, stock, occurredAtMs, expectedSeq = 0, key } = event;
  const isDelete = event.isDelete === true;
  const idBytes = encodeProductIdWords(event.productId, slots, w + SLOT_ID);
  if (idBytes < 0) throw new TypeError('product id out of range');
  if (price !== undefined && !(price >= 0 && price < Infinity))
    throw new TypeError('price out of range');
  if (stock !== undefined && !Number.isSafeInteger(stock))
    throw new TypeError('stock out of range');
  if ((price === undefined && stock === undefined) !== isDelete)
    throw new TypeError('a delete has no fields, and everything else has one');
  if (!Number.isSafeInteger(expectedSeq) || expectedSeq < EXPECTED_UNLISTED)
    throw new TypeError('expected seq out of range');
  // A product whose times were once NaN would take no event any more.
  if (occurredAtMs !== undefined && !Number.isFinite(occurredAtMs))
    throw new TypeError('event time out of range');

  let flags = 0;
  if (price !== undefined || isDelete) flags |= FLAG_HAS_PRICE;
  if (stock !== undefined || isDelete) flags |= FLAG_HAS_STOCK;
  if (occurredAtMs === undefined) flags |= FLAG_ARRIVAL_TIME;
  if (expectedSeq === EXPECTED_UNLISTED) flags |= FLAG_IF_UNLISTED;
  doubles[d + SLOT_SEQ] = 0;
  doubles[d + SLOT_OCCURRED_AT] = occurredAtMs ?? TIME_OF_THE_LOG;
  // −0 and 0 are one price; the sum makes them one bit pattern.
  doubles[d + SLOT_PRICE] = price === undefined ? Number.NaN : price + 0;
  doubles[d + SLOT_STOCK] = stock === undefined ? Number.NaN : stock + 0;
  doubles[d + SLOT_EXPECTED_SEQ] = expectedSeq;
  words[w + SLOT_META] = packMeta(isDelete ? KIND_DELETE : KIND_UPSERT, flags, idBytes);
  // A loop: `fill` costs three times as much for these four words.
  if (key === undefined) for (let i = SLOT_FINGERPRINT; i < SLOT_ID; i++) words[w + i] = 0;
  else putFingerprint(words, index, key, 0);
}
