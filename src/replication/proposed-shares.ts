/**
 * How many slots of each intake ring this instance's messages have that may be on their way. Nobody else has to
 * know, so it stands in no message, and what stands in the stream does not depend on how many threads an instance
 * has. In shared memory, for the successor of a log thread that dies. Log thread.
 *
 *   for each frame of the window (n modulo WINDOW_FRAMES) a place of whole lines of 64 bytes:
 *     byte 0  n       f64  the frame of the writer that this instance is, or was last; 0 = none
 *          8  counts  i32  of each ring, in a message's order
 *
 * The thread may die at any instruction. In `note`: the message was not sent, and what its place held before is
 * done with, for a frame goes on its way only when the one WINDOW_FRAMES before it is settled and the progress record
 * says so. Later: the messages that come back before the successor's OPEN are those that were noted here; behind the
 * OPEN they are void, and only then the successor, another writer, notes its own from 1 on.
 */
import assert from 'node:assert/strict';
import { WINDOW_FRAMES } from './proposer.ts';

const LINE_BYTES = 64;
const COUNTS_BYTE = 8;

export class ProposedShares {
  /** How many rings there are. */
  readonly rings: number;
  readonly #frames: readonly Float64Array[];
  readonly #counts: readonly Int32Array[];

  /** Views what `create` made for so many rings. */
  constructor(buffer: SharedArrayBuffer, rings: number) {
    const bytes = placeBytes(rings);
    assert.equal(buffer.byteLength, WINDOW_FRAMES * bytes);
    const places = Array.from({ length: WINDOW_FRAMES }, (_, i) => i * bytes);
    this.rings = rings;
    this.#frames = places.map((at) => new Float64Array(buffer, at, 1));
    this.#counts = places.map((at) => new Int32Array(buffer, at + COUNTS_BYTE, rings));
  }

  static create(rings: number): SharedArrayBuffer {
    return new SharedArrayBuffer(WINDOW_FRAMES * placeBytes(rings));
  }

  /** Frame `n` has `countOf(ring)` slots of each ring. Before it is sent. */
  note(n: number, countOf: (ring: number) => number): void {
    const place = n % WINDOW_FRAMES;
    const counts = this.#counts[place];
    this.#frames[place][0] = 0;
    for (let ring = 0; ring < this.rings; ring++) counts[ring] = countOf(ring);
    this.#frames[place][0] = n;
  }

  /** What was noted of frame `n`, which has come back; valid until the next call. */
  of(n: number): Int32Array {
    const place = n % WINDOW_FRAMES;
    assert.equal(this.#frames[place][0], n, 'the frame that has come back was noted');
    return this.#counts[place];
  }
}

function placeBytes(rings: number): number {
  const bytes = COUNTS_BYTE + rings * Int32Array.BYTES_PER_ELEMENT;
  return Math.ceil(bytes / LINE_BYTES) * LINE_BYTES;
}
