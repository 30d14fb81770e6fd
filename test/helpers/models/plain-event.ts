/**
 * Events as plain objects, put into slots the way the intake does it. Tests only.
 */
import { putReceipt, RECEIPT_OPEN } from '../../../src/dedupe/batch-receipt.ts';
import { fingerprintKey, putFingerprint } from '../../../src/event/fingerprint.ts';
import { encodeProductId } from '../../../src/ring/id-bytes.ts';
import {
  EXPECTED_UNLISTED,
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  FLAG_IF_UNLISTED,
  FLAG_RESERVED,
  KIND_DELETE,
  KIND_FORGET,
  KIND_UPSERT,
  packMeta,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_HASH,
  SLOT_ID,
  SLOT_ID_BYTE,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_SEQ,
  SLOT_STOCK,
  SLOT_WORDS,
  type SlotViews,
} from '../../../src/ring/slot.ts';
import { hashId } from '../../../src/store/id-hash.ts';
import type { HashKey } from '../../../src/threads/shared-memory.ts';

export interface PlainEvent {
  readonly seq: number;
  readonly productId: string;
  readonly price: number | undefined;
  readonly stock: number | undefined;
  readonly occurredAtMs: number;
  /** The client gave no time: that is its arrival. */
  readonly isArrival?: boolean;
  readonly isDelete?: boolean;
  /** It is no event, but says that the product is forgotten if it has the expected seq and is not listed. */
  readonly isForget?: boolean;
  /** 0 or absent = no condition. */
  readonly expectedSeq?: number;
  /** Whether the admission reserved room for it. */
  readonly reserved?: boolean;
  /** An event_id. */
  readonly key?: string;
  /** It is no event, but the receipt of the batch with this key, about so many events. */
  readonly receipt?: { readonly key: string; readonly events: number };
}

/** Writes `event` to the slot at `index`; returns the id's hash. */
export function putEvent(slots: SlotViews, index: number, event: PlainEvent, key: HashKey): number {
  const w = index * SLOT_WORDS;
  const d = index * SLOT_DOUBLES;
  slots.words.fill(0, w, w + SLOT_WORDS);
  if (event.receipt !== undefined) {
    const { key, events } = event.receipt;
    const rest = { bytes: 0, crc: 0, since: 0, state: RECEIPT_OPEN, rejected: 0 };
    const receipt = { ...rest, events, firstSeq: 0, lastSeq: 0 };
    putReceipt(slots, index, fingerprintKey('request', key), receipt, event.occurredAtMs);
    slots.doubles[d + SLOT_SEQ] = event.seq;
    return 0;
  }
  const idBytes = encodeProductId(event.productId, slots.bytes, index * SLOT_BYTES + SLOT_ID_BYTE);
  if (idBytes < 0) throw new Error(`not an id: ${JSON.stringify(event.productId)}`);
  const isDelete = event.isDelete === true;
  const flags =
    (event.price === undefined && !isDelete ? 0 : FLAG_HAS_PRICE) |
    (event.stock === undefined && !isDelete ? 0 : FLAG_HAS_STOCK) |
    (event.isArrival === true ? FLAG_ARRIVAL_TIME : 0) |
    (event.reserved === true ? FLAG_RESERVED : 0) |
    (event.expectedSeq === EXPECTED_UNLISTED ? FLAG_IF_UNLISTED : 0);
  const hash = hashId(key, slots.words, w + SLOT_ID, idBytes);
  slots.doubles[d + SLOT_SEQ] = event.seq;
  slots.doubles[d + SLOT_OCCURRED_AT] = event.occurredAtMs;
  slots.doubles[d + SLOT_PRICE] = event.price ?? Number.NaN;
  slots.doubles[d + SLOT_STOCK] = event.stock ?? Number.NaN;
  slots.doubles[d + SLOT_EXPECTED_SEQ] = event.expectedSeq ?? 0;
  const kind = isDelete ? KIND_DELETE : KIND_UPSERT;
  slots.words[w + SLOT_META] =
    event.isForget === true
      ? packMeta(KIND_FORGET, FLAG_ARRIVAL_TIME, idBytes)
      : packMeta(kind, flags, idBytes);
  slots.words[w + SLOT_HASH] = hash;
  if (event.key !== undefined) {
    putFingerprint(slots.words, index, fingerprintKey('event', event.key), 0);
  }
  return hash;
}
