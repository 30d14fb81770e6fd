/**
 * Writes protocol buffers, as far as pprof needs them: varints, packed varints, texts, messages in
 * messages. Pure, any thread. (A library for it would be larger than all that uses it.)
 */
import { Buffer } from 'node:buffer';

const VARINT = 0;
const LENGTH_DELIMITED = 2;

export class MessageWriter {
  #bytes: Buffer = Buffer.allocUnsafe(256);
  #length = 0;

  /** What was written; a view that lasts until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A whole number ≥ 0 up to 2^53 − 1. Zero is the default and takes no room. */
  integer(field: number, value: number): void {
    if (value === 0) return;
    this.#tag(field, VARINT);
    this.#varint(value);
  }

  /** The same, several of them; zeros are kept. */
  integers(field: number, values: readonly number[]): void {
    if (values.length === 0) return;
    const packed = new MessageWriter();
    for (const value of values) packed.#varint(value);
    this.#delimited(field, packed.bytes);
  }

  /** Empty ones are kept: in a table each has its place. */
  text(field: number, value: string): void {
    this.#delimited(field, Buffer.from(value));
  }

  message(field: number, write: (message: MessageWriter) => void): void {
    const inner = new MessageWriter();
    write(inner);
    this.#delimited(field, inner.bytes);
  }

  #delimited(field: number, bytes: Uint8Array): void {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(bytes.length);
    this.#makeRoom(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #tag(field: number, type: number): void {
    this.#varint(field * 8 + type);
  }

  /** By division: bit operations would cut it to 32 bits. */
  #varint(value: number): void {
    this.#makeRoom(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
