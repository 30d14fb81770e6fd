/**
 * A ring of messages of any length between two threads: one writes, one reads. Survives the death of either:
 * what is half written is not there yet, what is half read is read again.
 *
 *   byte   0  head   i32  bytes written, modulo 2^32; the writer stores it
 *         64  tail   i32  bytes read; the reader stores it
 *        128  data   a power of two of bytes. A record, at a multiple of 8, never around the end:
 *               0  length    u32  of the message; SKIP = the rest of the data up to its end is unused
 *               4  epoch     u32  which wish of the reader it answers (stream-memory.ts)
 *               8  position  f64
 *              16  message, padded to 8
 *
 * Empty: head = tail. A record is written where head − tail leaves room for it.
 */
import assert from 'node:assert/strict';

const HEAD = 0;
const TAIL = 16;
const DATA_BYTE = 128;
const RECORD_BYTES = 16;
const ALIGN = 8;
const SKIP = 0xffffffff;

export interface RingRecord {
  readonly position: number;
  readonly epoch: number;
  /** A view, valid until the next `read`. */
  readonly bytes: Uint8Array;
}

export class ByteRing {
  readonly #cursors: Int32Array;
  readonly #data: Uint8Array;
  readonly #view: DataView;
  readonly #capacity: number;
  /** What the reader has given out and not yet let go. */
  #reading = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.#cursors = new Int32Array(buffer, 0, DATA_BYTE / 4);
    this.#data = new Uint8Array(buffer, DATA_BYTE);
    this.#view = new DataView(buffer, DATA_BYTE);
    this.#capacity = this.#data.length;
    assert.equal(this.#capacity & (this.#capacity - 1), 0, 'a ring holds a power of two');
  }

  /** `bytes`: a power of two, at least twice the longest message. */
  static create(bytes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(DATA_BYTE + bytes);
  }

  /** Whether nothing is there to be read but what was read last. The reader's thread. */
  get isEmpty(): boolean {
    return Atomics.load(this.#cursors, HEAD) === ((this.#cursors[TAIL] + this.#reading) | 0);
  }

  /** Writes a record; false where there is no room yet. The writer's thread. */
  write(bytes: Uint8Array, position: number, epoch: number): boolean {
    const needed = RECORD_BYTES + Math.ceil(bytes.length / ALIGN) * ALIGN;
    assert.ok(needed <= this.#capacity / 2, 'a message fits twice');
    let head = this.#cursors[HEAD];
    // Pairs with the reader's Atomics.store of the tail, after it has done with the record.
    const free = this.#capacity - ((head - Atomics.load(this.#cursors, TAIL)) >>> 0);
    let at = head & (this.#capacity - 1);
    const toEnd = this.#capacity - at;
    const skipped = toEnd < needed ? toEnd : 0;
    if (free < needed + skipped) return false;
    if (skipped > 0) {
      this.#view.setUint32(at, SKIP, true);
      head = (head + skipped) | 0;
      at = 0;
    }
    this.#view.setUint32(at, bytes.length, true);
    this.#view.setUint32(at + 4, epoch, true);
    this.#view.setFloat64(at + 8, position, true);
    this.#data.set(bytes, at + RECORD_BYTES);
    // Pairs with the reader's Atomics.load of the head, before it reads the record.
    Atomics.store(this.#cursors, HEAD, (head + needed) | 0);
    return true;
  }

  /** The next record, or `undefined`; lets go of the one before. The reader's thread. */
  read(): RingRecord | undefined {
    if (this.#reading > 0) {
      Atomics.store(this.#cursors, TAIL, (this.#cursors[TAIL] + this.#reading) | 0);
      this.#reading = 0;
    }
    const head = Atomics.load(this.#cursors, HEAD);
    let tail = this.#cursors[TAIL];
    if (head === tail) return undefined;
    let at = tail & (this.#capacity - 1);
    if (this.#view.getUint32(at, true) === SKIP) {
      tail = (tail + this.#capacity - at) | 0;
      Atomics.store(this.#cursors, TAIL, tail);
      at = 0;
    }
    const length = this.#view.getUint32(at, true);
    this.#reading = RECORD_BYTES + Math.ceil(length / ALIGN) * ALIGN;
    const from = at + RECORD_BYTES;
    return {
      position: this.#view.getFloat64(at + 8, true),
      epoch: this.#view.getUint32(at + 4, true),
      bytes: this.#data.subarray(from, from + length),
    };
  }
}
