/**
 * Product ids as bytes: UTF-8 into zero-padded words, as slots and entries hold them.
 * Any thread; pure but for the memory it is told to write.
 */
import { ID_BYTES_MAX } from '../ring/slot.ts';

/**
 * Writes `id` as UTF-8 to the 64 bytes from `at` of `bytes` and zero-pads them.
 * Returns its length in bytes, or −1 (with the 64 bytes left undefined) when `id` is empty, longer
 * than 64 bytes or has a lone surrogate.
 */
export function encodeProductId(id: string, bytes: Uint8Array, at: number): number {
  const units = id.length;
  if (units === 0 || units > ID_BYTES_MAX) return -1;
  const end = at + ID_BYTES_MAX;
  let to = at;
  for (let i = 0; i < units; i++) {
    let code = id.charCodeAt(i);
    if (code < 0x80) {
      if (to === end) return -1;
      bytes[to++] = code;
    } else if (code < 0x800) {
      if (to + 2 > end) return -1;
      bytes[to++] = 0xc0 | (code >> 6);
      bytes[to++] = 0x80 | (code & 0x3f);
    } else if (code < 0xd800 || code > 0xdfff) {
      if (to + 3 > end) return -1;
      bytes[to++] = 0xe0 | (code >> 12);
      bytes[to++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[to++] = 0x80 | (code & 0x3f);
    } else {
      const low = id.charCodeAt(++i);
      if (code > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff) || to + 4 > end) return -1;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      bytes[to++] = 0xf0 | (code >> 18);
      bytes[to++] = 0x80 | ((code >> 12) & 0x3f);
      bytes[to++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[to++] = 0x80 | (code & 0x3f);
    }
  }
  const length = to - at;
  while (to < end) bytes[to++] = 0;
  return length;
}
