/**
 * Cursors of the catalogue's pages as the opaque text that clients hand back. Main thread.
 *
 * A place in the catalogue means something only where who is where was decided alike: on all threads of one start of the service,
 * for what it restored and replayed decides; in a cluster on all instances of one generation, for there the stream does.
 * So a cursor names its places. It also says how far the store was that it comes from: an instance that
 * is behind it may not have yet what stands behind the cursor.
 *
 *   byte   0  places  8 B  what they are called; another one's mean nothing
 *          8  seq     f64  of the last event that was applied before the page was read; little-endian, as the others
 *         16  shard   u32
 *         20  entry   u32
 *         24  check   u32  CRC-32 of the bytes before: a cursor of other places has a valid one
 * Text: base64url without padding, 38 characters.
 */
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { CataloguePlace } from '../../store/product-catalogue.ts';

const PLACES_BYTES = 8;
const SEQ = 8;
const SHARD = 16;
const ENTRY = 20;
const CHECK = 24;
const CURSOR_BYTES = 28;

export interface PageCursor {
  readonly place: CataloguePlace;
  /** Events up to it must be applied before the page is read. */
  readonly seq: number;
}

/** What the places of one start are called: 16 hexadecimal digits. */
export function newPlacesName(): string {
  return randomBytes(PLACES_BYTES).toString('hex');
}

export class PageCursors {
  readonly #places: Buffer;

  /** `places`: what they are called; their own name, unless given. */
  constructor(places = newPlacesName()) {
    this.#places = Buffer.from(places, 'hex');
    if (this.#places.length !== PLACES_BYTES) throw new Error(`${places} is no name of places`);
  }

  encode({ place: { shard, entry }, seq }: PageCursor): string {
    const bytes = Buffer.alloc(CURSOR_BYTES);
    this.#places.copy(bytes);
    bytes.writeDoubleLE(seq, SEQ);
    bytes.writeUInt32LE(shard, SHARD);
    bytes.writeUInt32LE(entry, ENTRY);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, CHECK)), CHECK);
    return bytes.toString('base64url');
  }

  /** Returns what it says, `expired` for a cursor of other places, or `invalid` for what is no cursor. */
  decode(text: string): PageCursor | 'expired' | 'invalid' {
    const bytes = Buffer.from(text, 'base64url');
    // The first holds for any text that decodes to these bytes; the second for one text only.
    if (bytes.length !== CURSOR_BYTES || bytes.toString('base64url') !== text) return 'invalid';
    if (crc32(bytes.subarray(0, CHECK)) !== bytes.readUInt32LE(CHECK)) return 'invalid';
    if (!this.#places.equals(bytes.subarray(0, PLACES_BYTES))) return 'expired';
    const seq = bytes.readDoubleLE(SEQ);
    // Anybody can make a valid check.
    if (!Number.isSafeInteger(seq) || seq < 0) return 'invalid';
    return { place: { shard: bytes.readUInt32LE(SHARD), entry: bytes.readUInt32LE(ENTRY) }, seq };
  }
}
