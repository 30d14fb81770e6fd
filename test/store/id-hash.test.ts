/** The keyed hash is HalfSipHash-1-3 and no look-alike. */
import { crc32 } from 'node:zlib';
import t from 'tap';
import { hashId } from '../../src/store/id-hash.ts';
import type { HashKey } from '../../src/threads/shared-memory.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const MASK = 0xffff_ffffn;

/** HalfSipHash-1-3 as the paper says it, with wide integers and bytes: nothing shared with src. */
function halfSipHash13(key: HashKey, message: Uint8Array): number {
  const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (32n - by))) & MASK;
  const k0 = BigInt(key.k0 >>> 0);
  const k1 = BigInt(key.k1 >>> 0);
  const v: [bigint, bigint, bigint, bigint] = [k0, k1, k0 ^ 0x6c796765n, k1 ^ 0x74656462n];
  const round = () => {
    v[0] = (v[0] + v[1]) & MASK;
    v[1] = rotate(v[1], 5n) ^ v[0];
    v[0] = rotate(v[0], 16n);
    v[2] = (v[2] + v[3]) & MASK;
    v[3] = rotate(v[3], 8n) ^ v[2];
    v[0] = (v[0] + v[3]) & MASK;
    v[3] = rotate(v[3], 7n) ^ v[0];
    v[2] = (v[2] + v[1]) & MASK;
    v[1] = rotate(v[1], 13n) ^ v[2];
    v[2] = rotate(v[2], 16n);
  };
  const blocks = Math.floor(message.length / 4);
  for (let i = 0; i <= blocks; i++) {
    let block = i === blocks ? BigInt(message.length & 0xff) << 24n : 0n;
    for (let b = 0; b < 4 && i * 4 + b < message.length; b++) {
      block |= BigInt(message[i * 4 + b]) << BigInt(8 * b);
    }
    v[3] ^= block;
    round();
    v[0] ^= block;
  }
  v[2] ^= 0xffn;
  for (let i = 0; i < 3; i++) round();
  return Number(v[1] ^ v[3]);
}

/** What src makes of the same bytes, zero-padded as in a slot, at word `at`. */
function hashed(key: HashKey, message: Uint8Array, at: number): number {
  const words = new Int32Array(at + Math.ceil(message.length / 4) + 2).fill(-1, 0, at);
  new Uint8Array(words.buffer).set(message, at * 4);
  return hashId(key, words, at, message.length) >>> 0;
}

t.test('agrees with the 64 published vectors of HalfSipHash-1-3', (t) => {
  // Linux, lib/test_siphash.c (32-bit hsiphash): key bytes 0 … 7, message bytes 0 … length − 1.
  const key = { k0: 0x03020100, k1: 0x07060504 };
  const hashes = Buffer.alloc(64 * 4);
  for (let length = 0; length < 64; length++) {
    const message = Uint8Array.from({ length }, (_, i) => i);
    hashes.writeUInt32LE(hashed(key, message, 0), length * 4);
    t.equal(hashed(key, message, 0), halfSipHash13(key, message), `length ${length}`);
  }
  t.equal(hashes.readUInt32LE(0), 0x5814c896);
  t.equal(hashes.readUInt32LE(63 * 4), 0x87178304);
  t.equal(crc32(hashes), 0x2d2206fb, 'the checksum of all of them');
  t.end();
});

const seed = testSeed();
t.test(`agrees with an independent implementation for any key and bytes (seed ${seed})`, (t) => {
  const random = new Random(seed);
  for (let round = 0; round < 3000; round++) {
    const key = { k0: random.word() | 0, k1: random.word() | 0 };
    const message = Uint8Array.from({ length: random.below(65) }, () => random.below(256));
    const at = random.below(5);
    const expected = halfSipHash13(key, message);
    const found = hashed(key, message, at);
    if (found !== expected) {
      t.fail(`round ${round}: ${found} for ${Buffer.from(message).toString('hex')}`, { key });
      break;
    }
  }
  t.pass();
  t.end();
});
