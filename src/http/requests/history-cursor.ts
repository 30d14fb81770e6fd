/**
 * Cursors of a history's pages: behind which entry the next one begins. Main thread; pure.
 *
 *   byte  0  at     f64  event time of the last entry, ms
 *         8  check  u32  CRC-32 of the bytes before, the field and the product: a cursor is of one history
 * Text: base64url without padding, 16 characters. Good for ever, also after a restart.
 */
import { Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';
import type { HistoryField } from '../../history/mark.ts';

const CHECK = 8;
const CURSOR_BYTES = 12;

export function encodeHistoryCursor(id: string, field: HistoryField, atMs: number): string {
  const bytes = Buffer.alloc(CURSOR_BYTES);
  bytes.writeDoubleLE(atMs);
  bytes.writeUInt32LE(checkOf(bytes, id, field), CHECK);
  return bytes.toString('base64url');
}

/** The time in `text`; `undefined` for what is no cursor of this history. */
export function decodeHistoryCursor(
  id: string,
  field: HistoryField,
  text: string,
): number | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== CURSOR_BYTES || bytes.toString('base64url') !== text) return undefined;
  if (bytes.readUInt32LE(CHECK) !== checkOf(bytes, id, field)) return undefined;
  return bytes.readDoubleLE();
}

function checkOf(bytes: Buffer, id: string, field: HistoryField): number {
  return crc32(`${field}/${id}`, crc32(bytes.subarray(0, CHECK)));
}
