/**
 * The digest of a batch's body up to the end of each event: CRC-32 over the decoded bytes, however
 * they arrived. Follows the window of bytes that a reader holds. Main thread.
 *
 *      0         from                 end                      start
 *   ───┼── in the digest ──┼── not yet ──┼── between two events ──┼── to be read ──
 */
import { crc32 } from 'node:zlib';
import type { BodyPart } from '../dedupe/batch-receipt.ts';

export class BodyDigest {
  /** Of the body up to `#from`. */
  #crc = 0;
  #from = 0;
  /** Where the last event ended; less than `#from` when that is in the digest. */
  #end = 0;
  /** Bytes of the body before the window. */
  #bytesBefore = 0;
  #part: BodyPart = { events: 0, bytes: 0, crc: 0 };
  #events = 0;

  /** Events that have ended. */
  get events(): number {
    return this.#events;
  }

  /** The first `events` of the body end at `end`. */
  ended(events: number, end: number): void {
    if (events === this.#events) return;
    this.#events = events;
    this.#end = end;
  }

  /** The window of `bytes` is about to lose everything before `start`. */
  moving(bytes: Uint8Array, start: number): void {
    this.part(bytes);
    this.#digest(bytes, start);
    this.#bytesBefore += start;
    this.#from = 0;
    this.#end = 0;
  }

  /** What is known of all events that have ended. */
  part(bytes: Uint8Array): BodyPart {
    if (this.#part.events === this.#events) return this.#part;
    this.#digest(bytes, this.#end);
    const bytesNow = this.#bytesBefore + this.#end;
    this.#part = { events: this.#events, bytes: bytesNow, crc: this.#crc };
    return this.#part;
  }

  #digest(bytes: Uint8Array, to: number): void {
    if (to <= this.#from) return;
    this.#crc = crc32(bytes.subarray(this.#from, to), this.#crc);
    this.#from = to;
  }
}
