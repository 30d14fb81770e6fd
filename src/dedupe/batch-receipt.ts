/**
 * The receipt of a batch: what the log says of a request with an Idempotency-Key as a whole, beside
 * the key of each of its events (fingerprint.ts). A slot of the bulk ring, behind the events that it
 * speaks of, with a seq of its own; nothing of it reaches the store. The main thread writes it, the
 * log thread numbers it. This layout is on disk.
 *
 *   byte   0  seq          f64  of the receipt
 *          8  written at   f64  ms since the epoch
 *         16  events       f64  of the body that are dealt with, faulty ones included: its first ones
 *         24  body bytes   f64  of the decoded body, up to the end of the last of these
 *         32  since        f64  seq behind which there may be events of the batch that no receipt
 *                               speaks of; 0 = its own seq
 *         40  meta         u32  KIND_BATCH_RECEIPT alone
 *         44  hash         u32  0
 *         48  fingerprint  12 B the request's key, as that of its event 0
 *         60  CRC-32       u32  of these bytes of the body
 *         64  state        u32  RECEIPT_OPEN, _FROZEN, _ENDED or _COMPLETE
 *         68  zero         u32
 *         72  rejected     f64  of these events, those that were not accepted
 *         80  first seq    f64  lowest and highest of those accepted, as far as known by then; 0 = none
 *         88  last seq     f64
 *         96  zeros
 *
 * The states, and what a repetition may rely on:
 *  - open: the request goes on. There may be more of its events in the log, behind `since`, which are
 *    known one by one as long as the dedupe window reaches back there, and not longer.
 *  - frozen: the same, but no receipt follows: an event was refused that may fit another time.
 *  - ended: the request is over, its body was not; nothing of it is behind the receipt.
 *  - complete: so was its body: a repetition has exactly these bytes, and nothing of it is new.
 *
 * The story of a batch, and of a crash at each step:
 *  1. An open receipt is queued before the first event. A crash before it is durable: no event is
 *     either, the ring being in order; nothing of the batch is known, and nothing of it happened.
 *  2. Events follow, and an open receipt behind every RECEIPT_EVENTS of them. A crash in between: the
 *     newest receipt says `events`; a repetition passes over these, if their bytes are the same, and
 *     the next ones are found by their own keys. When so many keyed events came since that the window
 *     has forgotten some behind `since`, it is not known which were accepted: it is refused, whole.
 *  3. When everything is settled, the last receipt: complete, or ended where the body was cut. A crash
 *     before that: as in 2, and the repetition writes it.
 *  4. A repetition that goes on begins with an open receipt of its own (an ended one must not stay the
 *     newest) at the same place. Its `since` is that of an open one before it, whose events without
 *     receipt are still there.
 *  5. The log thread dies: its successor numbers receipts again like events. The receipts of a batch
 *     that is committed and not settled are put into the window once more (log-thread.ts).
 * Two requests of one key at the same time would mix these up; the second is refused (http/routes) until
 * nothing of the first is on its way any more, its answer or not.
 */
import assert from 'node:assert/strict';
import {
  KEY_WORDS,
  KIND_BATCH_RECEIPT,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_FINGERPRINT,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_SEQ,
  SLOT_STOCK,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';

/** As the slot's other numbers lie, so do these. */
const EVENTS = SLOT_PRICE;
const BODY_BYTES = SLOT_STOCK;
const SINCE = SLOT_EXPECTED_SEQ;
const CRC = SLOT_FINGERPRINT + KEY_WORDS;
const STATE = 16;
const REJECTED = 9;
const FIRST_SEQ = 10;
const LAST_SEQ = 11;

export const RECEIPT_OPEN = 1;
export const RECEIPT_ENDED = 2;
export const RECEIPT_COMPLETE = 3;
export const RECEIPT_FROZEN = 4;

/**
 * Events between two receipts: few enough that the smallest dedupe window holds many times as many,
 * and so many that receipts take a two-thousandth of the log.
 */
export const RECEIPT_EVENTS = 2048;

assert.equal(STATE * 4, 64);
assert.equal(REJECTED * 8, 72);

/** How much of a body it is about: its first events and their bytes. */
export interface BodyPart {
  readonly events: number;
  readonly bytes: number;
  /** CRC-32 of the bytes. */
  readonly crc: number;
}

export interface BatchReceipt extends BodyPart {
  /** 0 = not numbered yet. */
  readonly seq: number;
  readonly since: number;
  readonly state: number;
  readonly rejected: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** Writes a receipt to the slot. `key` is the request's, three Int32s; `seq` is given later. */
export function putReceipt(
  { words, doubles }: SlotViews,
  index: number,
  key: Int32Array,
  receipt: Omit<BatchReceipt, 'seq'>,
  nowMs: number,
): void {
  const w = index * SLOT_WORDS;
  const d = index * SLOT_DOUBLES;
  words.fill(0, w, w + SLOT_WORDS);
  doubles[d + SLOT_OCCURRED_AT] = nowMs;
  doubles[d + EVENTS] = receipt.events;
  doubles[d + BODY_BYTES] = receipt.bytes;
  doubles[d + SINCE] = receipt.since;
  words[w + SLOT_META] = KIND_BATCH_RECEIPT;
  for (let i = 0; i < KEY_WORDS; i++) words[w + SLOT_FINGERPRINT + i] = key[i];
  words[w + CRC] = receipt.crc;
  words[w + STATE] = receipt.state;
  doubles[d + REJECTED] = receipt.rejected;
  doubles[d + FIRST_SEQ] = receipt.firstSeq;
  doubles[d + LAST_SEQ] = receipt.lastSeq;
}

export function receiptIn({ words, doubles }: SlotViews, index: number): BatchReceipt {
  const w = index * SLOT_WORDS;
  const d = index * SLOT_DOUBLES;
  const seq = doubles[d + SLOT_SEQ];
  return {
    seq,
    events: doubles[d + EVENTS],
    bytes: doubles[d + BODY_BYTES],
    crc: words[w + CRC] >>> 0,
    since: doubles[d + SINCE] || seq,
    state: words[w + STATE],
    rejected: doubles[d + REJECTED],
    firstSeq: doubles[d + FIRST_SEQ],
    lastSeq: doubles[d + LAST_SEQ],
  };
}

/**
 * Makes the receipt in the slot, but a frozen one, an open one: there may be more events of its batch
 * behind it, whatever it says.
 */
export function reopenReceipt({ words, doubles }: SlotViews, index: number): void {
  const state = index * SLOT_WORDS + STATE;
  if (words[state] === RECEIPT_OPEN || words[state] === RECEIPT_FROZEN) return;
  words[state] = RECEIPT_OPEN;
  doubles[index * SLOT_DOUBLES + SINCE] = 0;
}

export function isReceipt(words: Int32Array, index: number): boolean {
  return words[index * SLOT_WORDS + SLOT_META] === KIND_BATCH_RECEIPT;
}
