/**
 * The slot: one event, 128 bytes, the same in both rings and in the log's frames, so that many
 * move as whole memory copies. Little-endian. Written by the main thread when it claims the slot,
 * numbered by the log thread, read by the appliers. Changing this layout changes the disk format.
 *
 *   byte   0  seq            f64  the sequencer's number; 0 = not numbered yet
 *          8  occurred_at    f64  ms since the epoch, µs behind the point (time/microseconds.ts); with
 *                                 ARRIVAL_TIME the log's time, which the log thread puts here
 *         16  price          f64  valid when HAS_PRICE is set; NaN in a delete
 *         24  stock          f64  valid when HAS_STOCK is set; NaN in a delete
 *         32  expected seq   f64  conditional write: the seq that the product must have; 0 = none,
 *                                 −1 = any, as long as the product is listed, −2 = it must not be
 *                                 (and IF_UNLISTED is set)
 *         40  meta           u32  kind (bits 0–7) · flags (8–23) · id length in bytes (24–31)
 *         44  hash           u32  of the id under the data folder's key; 0 on disk
 *         48  fingerprint    16 B key (12) and content (4) of an event that came under a key, or zeros
 *         64  product id     64 B UTF-8, zero-padded
 *
 * A batch receipt is a slot, too, with a seq of its own, but no event: dedupe/batch-receipt.ts. So is the
 * note that a product is forgotten: cleanup/forget-slot.ts.
 */
import assert from 'node:assert/strict';
import { endianness } from 'node:os';

export const SLOT_BYTES = 128;
export const SLOT_WORDS = SLOT_BYTES / 4;
export const SLOT_DOUBLES = SLOT_BYTES / 8;

/** Offsets in doubles from the start of the slot. */
export const SLOT_SEQ = 0;
export const SLOT_OCCURRED_AT = 1;
export const SLOT_PRICE = 2;
export const SLOT_STOCK = 3;
export const SLOT_EXPECTED_SEQ = 4;

/** Offsets in 32-bit words from the start of the slot. */
export const SLOT_META = 10;
export const SLOT_HASH = 11;
export const SLOT_FINGERPRINT = 12;
export const SLOT_ID = 16;

/** A fingerprint's key, in 32-bit words; one word of the content follows. */
export const KEY_WORDS = 3;

/** Offset in bytes from the start of the slot. */
export const SLOT_ID_BYTE = 64;

/** The longest product id: what a slot and an entry of the store have room for. */
export const ID_BYTES_MAX = 64;
export const ID_WORDS = ID_BYTES_MAX / 4;

/**
 * What the event does. An upsert with one field alone is partial. 0 and 2 never stand in a valid slot:
 * 2 was once used in memory, never on disk.
 */
export const KIND_UPSERT = 1;
/** Delists the product: writes "absent" (NaN) to both fields, at the event's time like any value. */
export const KIND_DELETE = 3;
/** No event: how far a batch with an Idempotency-Key came. Changes nothing and has no product. */
export const KIND_BATCH_RECEIPT = 4;
/**
 * No event: the service's own note that a product which has been delisted for long is forgotten
 * (src/cleanup). It takes effect if the product still has the expected seq and is not listed.
 */
export const KIND_FORGET = 5;

/** Stands where an event came without a time, until the log thread puts its own there. */
export const TIME_OF_THE_LOG = 0;

/** Of the expected seq: the product must be listed, whatever its seq. */
export const EXPECTED_ANY = -1;
/** Of the expected seq: the product must not be listed. */
export const EXPECTED_UNLISTED = -2;

export const FLAG_HAS_PRICE = 1 << 8;
export const FLAG_HAS_STOCK = 1 << 9;
export const FLAG_ARRIVAL_TIME = 1 << 10;
/** The admission reserved room for a new product; memory only, cleared before the slot is logged. */
export const FLAG_RESERVED = 1 << 11;
/** With it: which producer's admission that was; memory only, likewise. */
const RESERVED_BY_SHIFT = 16;
const RESERVED_BY_MASK = 0x1f << RESERVED_BY_SHIFT;
/** Set by the sequencer in the intake ring only: the slot's seq is that of the same event before. */
export const FLAG_DUPLICATE = 1 << 12;
/** Likewise: an event with this key and other content is known; nothing was logged. */
export const FLAG_CONFLICT = 1 << 13;
/** Likewise: there was no room for its product when its turn came; only a replicated log says so. */
export const FLAG_NO_ROOM = 1 << 15;
/**
 * Stands with EXPECTED_UNLISTED. Versions that don't know that value would replay the event as refused
 * and lose what it created; a flag that they don't know makes them refuse the log.
 */
export const FLAG_IF_UNLISTED = 1 << 14;

/** All that says of a reservation. */
export const FLAGS_RESERVATION = FLAG_RESERVED | RESERVED_BY_MASK;

/** Flags that never leave the memory of an instance. */
export const FLAGS_OF_MEMORY = FLAGS_RESERVATION | FLAG_DUPLICATE | FLAG_CONFLICT | FLAG_NO_ROOM;

/** Producers that slots and shards can tell apart. */
export const PRODUCERS_MAX = 24;

const KIND_MASK = 0xff;
const FLAGS_DEFINED =
  FLAG_HAS_PRICE | FLAG_HAS_STOCK | FLAG_ARRIVAL_TIME | FLAG_RESERVED | FLAG_IF_UNLISTED;
const FLAGS_MASK = 0x00ffff00;
const ID_LENGTH_SHIFT = 24;

assert.ok(PRODUCERS_MAX - 1 <= RESERVED_BY_MASK >>> RESERVED_BY_SHIFT);
assert.equal(endianness(), 'LE', 'slots and frames are little-endian, so must the machine be');
assert.equal(SLOT_FINGERPRINT + KEY_WORDS + 1, SLOT_ID);
assert.equal(SLOT_ID * 4, SLOT_ID_BYTE);
assert.equal((SLOT_EXPECTED_SEQ + 1) * 8, SLOT_META * 4);
assert.equal(SLOT_ID_BYTE + ID_BYTES_MAX, SLOT_BYTES);

export function packMeta(kind: number, flags: number, idBytes: number): number {
  return kind | flags | (idBytes << ID_LENGTH_SHIFT);
}

/** The mark of a reservation by producer `producer`, to be set in a slot's meta. */
export function reservedMark(producer: number): number {
  return FLAG_RESERVED | (producer << RESERVED_BY_SHIFT);
}

/** Which producer's reservation a slot's meta with FLAG_RESERVED tells of. */
export function metaReservedBy(meta: number): number {
  return (meta & RESERVED_BY_MASK) >>> RESERVED_BY_SHIFT;
}

export function metaKind(meta: number): number {
  return meta & KIND_MASK;
}

export function metaIdBytes(meta: number): number {
  return meta >>> ID_LENGTH_SHIFT;
}

/** Whether `meta` can stand in a slot that this version wrote; the log's reader asks. */
export function isMetaValid(meta: number): boolean {
  const idBytes = metaIdBytes(meta);
  const kind = metaKind(meta);
  if (kind === KIND_BATCH_RECEIPT) return meta === KIND_BATCH_RECEIPT;
  const flags = kind === KIND_FORGET ? FLAG_ARRIVAL_TIME : FLAGS_DEFINED;
  return (
    (kind === KIND_UPSERT || kind === KIND_DELETE || kind === KIND_FORGET) &&
    (meta & FLAGS_MASK & ~flags) === 0 &&
    idBytes >= 1 &&
    idBytes <= ID_BYTES_MAX
  );
}

/** Whether the slot at `index` has a key, as a receipt always has: three words of which one is not zero. */
export function isKeyed(words: Int32Array, index: number): boolean {
  const k = index * SLOT_WORDS + SLOT_FINGERPRINT;
  return (words[k] | words[k + 1] | words[k + 2]) !== 0;
}

/** One event as plain values: for logs and tests, never on the hot path. */
export interface SlotContent {
  readonly seq: number;
  readonly productId: string;
  readonly price: number | undefined;
  readonly stock: number | undefined;
  readonly occurredAtMs: number;
  /** Only there where it is true. */
  readonly isDelete?: boolean;
  /** Likewise: it is no event, but says that the product is forgotten. */
  readonly isForget?: boolean;
  /** Only there where the event has a condition. */
  readonly expectedSeq?: number;
}

/** Copies the slot at `index` of `slots` (a whole number of slots) out as plain values. */
export function describeSlot(slots: SlotViews, index: number): SlotContent {
  const d = index * SLOT_DOUBLES;
  const meta = slots.words[index * SLOT_WORDS + SLOT_META];
  const id = index * SLOT_BYTES + SLOT_ID_BYTE;
  const isDelete = metaKind(meta) === KIND_DELETE;
  const expectedSeq = slots.doubles[d + SLOT_EXPECTED_SEQ];
  return {
    seq: slots.doubles[d + SLOT_SEQ],
    // A copy: TextDecoder refuses shared memory.
    productId: new TextDecoder().decode(slots.bytes.slice(id, id + metaIdBytes(meta))),
    price: meta & FLAG_HAS_PRICE && !isDelete ? slots.doubles[d + SLOT_PRICE] : undefined,
    stock: meta & FLAG_HAS_STOCK && !isDelete ? slots.doubles[d + SLOT_STOCK] : undefined,
    occurredAtMs: slots.doubles[d + SLOT_OCCURRED_AT],
    ...(isDelete ? { isDelete } : {}),
    ...(metaKind(meta) === KIND_FORGET ? { isForget: true } : {}),
    ...(expectedSeq === 0 ? {} : { expectedSeq }),
  };
}

/** The three views of one stretch of slots that code reads and writes through. */
export class SlotViews {
  readonly doubles: Float64Array;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;

  /** Views `slots` slots of `buffer` from `byteOffset` (a multiple of 8). */
  constructor(buffer: ArrayBufferLike, byteOffset: number, slots: number) {
    this.doubles = new Float64Array(buffer, byteOffset, slots * SLOT_DOUBLES);
    this.words = new Int32Array(buffer, byteOffset, slots * SLOT_WORDS);
    this.bytes = new Uint8Array(buffer, byteOffset, slots * SLOT_BYTES);
  }
}

/** Up to here a loop over words is cheaper than a memory copy, which needs a view of its source. */
const WORDWISE_SLOTS_MAX = 2;

/**
 * Copies `count` slots from `fromCursor` of one ring to `toCursor` of another (or to a plain
 * stretch, with a mask that covers it). Wraps on both sides; at most three memory copies, or
 * word by word where that is less work.
 */
export function copySlots(
  from: SlotViews,
  fromMask: number,
  fromCursor: number,
  to: SlotViews,
  toMask: number,
  toCursor: number,
  count: number,
): void {
  let done = 0;
  while (done < count) {
    const source = (fromCursor + done) & fromMask;
    const target = (toCursor + done) & toMask;
    const run = Math.min(count - done, fromMask + 1 - source, toMask + 1 - target);
    if (run <= WORDWISE_SLOTS_MAX) copyWords(from.words, source, to.words, target, run);
    else {
      to.bytes.set(
        from.bytes.subarray(source * SLOT_BYTES, (source + run) * SLOT_BYTES),
        target * SLOT_BYTES,
      );
    }
    done += run;
  }
}

function copyWords(
  from: Int32Array,
  source: number,
  to: Int32Array,
  target: number,
  slots: number,
): void {
  const s = source * SLOT_WORDS;
  const t = target * SLOT_WORDS;
  for (let i = 0; i < slots * SLOT_WORDS; i++) to[t + i] = from[s + i];
}
