/**
 * Cursors of the catalogue's pages as the opaque text that clients hand back. A place in the
 * catalogue means something to one start of the service only (what it restored and replayed decides who is where), so
 * a cursor names its start. Main thread.
 *
 *   byte   0  start  8 B  random for each start
 *          8  shard  u32
 *         12  entry  u32  little-endian, as the others
 *         16  check  u32  CRC-32 of the bytes before: another start's cursor has a valid one
 * Text: base64url without padding, 27 characters.
 */
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { CataloguePlace } from '../../store/product-catalogue.ts';

const START_BYTES = 8;
const SHARD = 8;
const ENTRY = 12;
const CHECK = 16;
const CURSOR_BYTES = 20;

export class PageCursors {
  readonly #start = randomBytes(START_BYTES);

  encode({ shard, entry }: CataloguePlace): string {
    const bytes = Buffer.alloc(CURSOR_BYTES);
    this.#start.copy(bytes);
    bytes.writeUInt32LE(shard, SHARD);
    bytes.writeUInt32LE(entry, ENTRY);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, CHECK)), CHECK);
    return bytes.toString('base64url');
  }

  /** Returns the place, `expired` for a cursor of another start, or `invalid` for what is no cursor. */
  decode(text: string): CataloguePlace | 'expired' | 'invalid' {
    const bytes = Buffer.from(text, 'base64url');
    // The first holds for any text that decodes to these bytes; the second for one text only.
    if (bytes.length !== CURSOR_BYTES || bytes.toString('base64url') !== text) return 'invalid';
    if (crc32(bytes.subarray(0, CHECK)) !== bytes.readUInt32LE(CHECK)) return 'invalid';
    if (!this.#start.equals(bytes.subarray(0, START_BYTES))) return 'expired';
    return { shard: bytes.readUInt32LE(SHARD), entry: bytes.readUInt32LE(ENTRY) };
  }
}
