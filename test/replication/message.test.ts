/** Messages come back as they were packed, and whatever is damaged or foreign is void. */
import t from 'tap';
import {
  bodyOf,
  CLUSTER_BYTES,
  headerCrc,
  KIND_EVENTS,
  MESSAGE_HEADER_BYTES,
  PLAIN_HEAD,
  packMessage,
  unpackMessage,
} from '../../src/replication/message.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const seed = testSeed();
const HEAD = {
  ...PLAIN_HEAD,
  kind: KIND_EVENTS,
  cluster: Buffer.alloc(CLUSTER_BYTES, 3),
  writer: 17,
  n: 2 ** 40 + 1,
  seen: 2 ** 41 + 1,
  chain: 0xfedcba98,
  madeAtMs: 1_700_000_000_000.25,
  live: 2,
  bulk: 3,
  nonce: Buffer.alloc(16, 9),
  supersedes: 4,
};

t.test('a message is unpacked as it was packed, small and large', (t) => {
  for (const bytes of [0, 128, 127 * 1024]) {
    const body = Buffer.alloc(bytes, 'abc');
    const packed = packMessage(HEAD, body);
    const message = unpackMessage(packed);
    if (typeof message === 'string') throw new Error(message);
    t.match({ ...message, cluster: [...message.cluster] }, { ...HEAD, cluster: [...HEAD.cluster] });
    t.ok(Buffer.from(bodyOf(message)).equals(body), `${bytes} bytes`);
    t.not(headerCrc(packed), 0);
    if (bytes > 10_000) t.ok(packed.length < bytes / 10, 'it is compressed');
  }
  t.end();
});

t.test(`any byte that changes makes it void (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const packed = packMessage(HEAD, Buffer.alloc(4096, 'a product service'));
  for (let i = 0; i < 500; i++) {
    const damaged = Buffer.from(packed);
    const at = i < MESSAGE_HEADER_BYTES ? i : random.below(packed.length);
    damaged[at] = (damaged[at] ?? 0) ^ random.integer(1, 255);
    const message = unpackMessage(damaged);
    const reason = typeof message === 'string' ? message : bodyOf(message);
    if (typeof reason !== 'string') t.fail(`byte ${at}`);
  }
  t.type(unpackMessage(Buffer.alloc(10)), 'string', 'too short');
  t.end();
});

t.test('a newer format is not skipped', (t) => {
  const packed = packMessage(HEAD, Buffer.alloc(0));
  packed.writeUInt16LE(2, 4);
  t.type(unpackMessage(packed), 'string', 'not without its checksum');
  const { crc32 } = process.getBuiltinModule('node:zlib');
  packed.writeUInt32LE(crc32(packed.subarray(0, 124)), 124);
  t.throws(() => unpackMessage(packed), { message: /take a newer one/ });
  t.end();
});
