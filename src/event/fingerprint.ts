/**
 * The key of an event, by which a repetition is known, and its fingerprint: what the log keeps of key
 * and content. The same on every start and in every version, since it is on disk. Main thread.
 *
 *   slot byte  48  12 B  the key: first bytes of SHA-256 of its namespace and text ("e:" + event_id,
 *                        "k:" + Idempotency-Key, "d:" + seq of a dead letter); of line i of a batch, with i added to word 0
 *              60   4 B  the content: MurmurHash3 (x86, 32 bits, seed 0) over these words
 *
 *   meta, without FLAG_RESERVED · occurred_at, zeros if it is the arrival's (2) · price, zeros if it
 *   has none (2) · stock likewise (2) · expected seq (2) · product id, ⌈length / 4⌉ words
 *
 * Zeros stand for "no key". No key has them: bytes 4–11 are never all zero.
 */
import { hash } from 'node:crypto';
import {
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  FLAGS_RESERVATION,
  KEY_WORDS,
  KIND_UPSERT,
  metaIdBytes,
  metaKind,
  SLOT_EXPECTED_SEQ,
  SLOT_FINGERPRINT,
  SLOT_ID,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_STOCK,
  SLOT_WORDS,
} from '../ring/slot.ts';

/** `event`: the event's own event_id. `request`: the Idempotency-Key of the request. `letter`: the dead event's seq. */
export type KeyNamespace = 'event' | 'request' | 'letter';

const PREFIX = { event: 'e:', request: 'k:', letter: 'd:' } as const;
const CONTENT = SLOT_FINGERPRINT + KEY_WORDS;

/** Makes the key part of a fingerprint, for `ProductEvent.key`: three Int32s. */
export function fingerprintKey(namespace: KeyNamespace, key: string): Int32Array {
  const digest = hash('sha256', PREFIX[namespace] + key, 'buffer');
  const words = new Int32Array(KEY_WORDS);
  for (let i = 0; i < KEY_WORDS; i++) words[i] = digest.readInt32LE(i * 4);
  if (words[1] === 0 && words[2] === 0) words[1] = 1;
  return words;
}

/**
 * Writes the fingerprint of the slot at `index`, in which all else must stand already. `line` is the
 * event's number in its batch, from 0; 0 where the key is the event's own.
 */
export function putFingerprint(
  words: Int32Array,
  index: number,
  key: Int32Array,
  line: number,
): void {
  const w = index * SLOT_WORDS;
  words[w + SLOT_FINGERPRINT] = key[0] + line;
  words[w + SLOT_FINGERPRINT + 1] = key[1];
  words[w + SLOT_FINGERPRINT + 2] = key[2];
  words[w + CONTENT] = contentHash(words, w);
}

function contentHash(words: Int32Array, w: number): number {
  const meta = words[w + SLOT_META];
  const isUpsert = metaKind(meta) === KIND_UPSERT;
  const idWords = (metaIdBytes(meta) + 3) >> 2;
  // Absent values are NaN, which has many bit patterns.
  const valueIf = (flag: number) => (isUpsert && (meta & flag) !== 0 ? -1 : 0);
  let h = mix(0, meta & ~FLAGS_RESERVATION);
  h = mixDouble(h, words, w + 2 * SLOT_OCCURRED_AT, (meta & FLAG_ARRIVAL_TIME) === 0 ? -1 : 0);
  h = mixDouble(h, words, w + 2 * SLOT_PRICE, valueIf(FLAG_HAS_PRICE));
  h = mixDouble(h, words, w + 2 * SLOT_STOCK, valueIf(FLAG_HAS_STOCK));
  h = mixDouble(h, words, w + 2 * SLOT_EXPECTED_SEQ, -1);
  for (let i = 0; i < idWords; i++) h = mix(h, words[w + SLOT_ID + i]);
  return finish(h, (9 + idWords) * 4);
}

/** Mixes both words of a double in, after an AND with `mask`. */
function mixDouble(h: number, words: Int32Array, at: number, mask: number): number {
  return mix(mix(h, words[at] & mask), words[at + 1] & mask);
}

function mix(h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const mixed = h ^ Math.imul(k, 0x1b873593);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(h: number, bytes: number): number {
  let f = h ^ bytes;
  f = Math.imul(f ^ (f >>> 16), 0x85ebca6b);
  f = Math.imul(f ^ (f >>> 13), 0xc2b2ae35);
  return f ^ (f >>> 16);
}
