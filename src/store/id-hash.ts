/**
 * The keyed hash of product ids: HalfSipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF", 2012; the 32-bit variant of the reference code). Ids come from outside and the
 * key is random per data folder, so nobody can choose ids that collide. Any thread; pure.
 */
import type { HashKey } from '../threads/shared-memory.ts';

/**
 * Hashes the `bytes` bytes (0 … 255) that start at word `at` of `words`. The id must be zero-padded
 * to a whole word, as it is in slots and entries. Returns an Int32.
 */
export function hashId(key: HashKey, words: Int32Array, at: number, bytes: number): number {
  const { k0, k1 } = key;
  let v0 = k0;
  let v1 = k1;
  let v2 = k0 ^ 0x6c796765;
  let v3 = k1 ^ 0x74656462;
  const whole = bytes >> 2;
  const last = at + whole;
  // The final block carries the length in its top byte above the 0–3 bytes that are left over.
  const tail = (bytes & 3) === 0 ? bytes << 24 : (bytes << 24) | words[last];
  for (let i = at; i <= last; i++) {
    const block = i === last ? tail : words[i];
    v3 ^= block;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= block;
  }
  v2 ^= 0xff;
  for (let i = 0; i < 3; i++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  return v1 ^ v3;
}
