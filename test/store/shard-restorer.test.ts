/**
 * A checkpoint's entries are in the shards after a restore, bit for bit, each where its id's new hash
 * leads; and events go on from there.
 */
import t, { type Test } from 'tap';
import { SLOT_BYTES, SlotViews } from '../../src/ring/slot.ts';
import { hashId } from '../../src/store/id-hash.ts';
import { NoRoomError } from '../../src/store/no-room-error.ts';
import {
  ENTRY_BYTES,
  SHARD_RELEASED,
  SHARD_USED,
  Shard,
  shardOf,
  shardSize,
} from '../../src/store/shard.ts';
import { ShardRestorer } from '../../src/store/shard-restorer.ts';
import { ShardWriter, UNDO_BYTES } from '../../src/store/shard-writer.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import type { HashKey } from '../../src/threads/shared-memory.ts';
import { idsOf, names, OwnedStore } from '../helpers/models/owned-store.ts';
import { putEvent } from '../helpers/models/plain-event.ts';
import { readProduct } from '../helpers/models/product-model.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const seed = testSeed();
const random = new Random(seed);
const KEY: HashKey = { k0: random.word() | 0, k1: random.word() | 0 };

const ABSENT = 0x7ff8000000000000n;
const ODD_NAN = 0xfff0dead0000beefn;
const MINUS_ZERO = 0x8000000000000000n;
const NEVER = 0xfff0000000000000n;

/** An entry as a checkpoint has it, said in bytes: doubles as their bits, where those matter. */
interface PlainEntry {
  readonly id: string;
  readonly seq: number;
  readonly price?: bigint;
  readonly priceAt?: bigint;
  readonly stock?: bigint;
  readonly stockAt?: bigint;
  readonly updatedAt?: bigint;
}

/** Entries in memory as a reader of checkpoints hands them out, from index `first` on. */
function viewsOf(entries: readonly PlainEntry[], first = 0): SlotViews {
  const slots = first + entries.length + 1;
  const memory = new ArrayBuffer(slots * SLOT_BYTES);
  for (const [i, entry] of entries.entries()) {
    const view = new DataView(memory, (first + i) * ENTRY_BYTES, ENTRY_BYTES);
    // A version and a hash of another start, which mean nothing here.
    view.setUint32(0, 0x77777777, true);
    view.setUint32(4, 0x12345678, true);
    view.setFloat64(8, entry.seq, true);
    view.setBigUint64(16, entry.price ?? ABSENT, true);
    view.setBigUint64(24, entry.priceAt ?? NEVER, true);
    view.setBigUint64(32, entry.stock ?? ABSENT, true);
    view.setBigUint64(40, entry.stockAt ?? NEVER, true);
    view.setBigUint64(48, entry.updatedAt ?? 0n, true);
    const id = Buffer.from(entry.id);
    view.setUint8(59, id.length);
    Buffer.from(memory).set(id, (first + i) * ENTRY_BYTES + 64);
  }
  return new SlotViews(memory, 0, slots);
}

function emptyShards(count: number, bytes = 8192): Shard[] {
  return Array.from({ length: count }, () => Shard.create(shardSize(bytes)));
}

/** The 128 bytes that lookups of the id end at. */
function foundBytes(shards: readonly Shard[], id: string): Buffer | undefined {
  const words = new Int32Array(16);
  const idBytes = Buffer.from(words.buffer).write(id);
  const hash = hashId(KEY, words, 0, idBytes);
  const shard = shards[shardOf(hash, shards.length)];
  const entry = shard.find(words, 0, idBytes, hash);
  if (entry < 0) return undefined;
  if (shard.words[entry + 1] !== hash) throw new Error(`${id}: it has another hash`);
  return Buffer.from(shard.buffer.slice(entry * 4, entry * 4 + ENTRY_BYTES));
}

/** As it must stand there: version 0; the hash is the new one, which `foundBytes` knows. */
function expectedBytes(entries: SlotViews, index: number, found: Buffer): Buffer {
  const at = index * ENTRY_BYTES;
  const bytes = Buffer.from(entries.bytes.slice(at, at + ENTRY_BYTES));
  bytes.writeUInt32LE(0, 0);
  found.copy(bytes, 4, 4, 8);
  return bytes;
}

function assertThere(
  t: Test,
  shards: readonly Shard[],
  given: readonly PlainEntry[],
  entries: SlotViews,
  first: number,
): void {
  const wrong = given.filter(({ id }, i) => {
    const found = foundBytes(shards, id);
    return found === undefined || !found.equals(expectedBytes(entries, first + i, found));
  });
  t.same(
    wrong.map(({ id }) => id),
    [],
    'every entry is found, byte for byte',
  );
  const sum = (header: number) => shards.reduce((sum, { words }) => sum + words[header], 0);
  t.equal(sum(SHARD_USED), given.length);
  t.equal(sum(SHARD_RELEASED), 0);
}

function randomEntry(id: string, seq: number): PlainEntry {
  const bits = () => (BigInt(random.word() >>> 0) << 32n) | BigInt(random.word() >>> 0);
  return {
    id,
    seq,
    price: bits(),
    priceAt: bits(),
    stock: bits(),
    stockAt: bits(),
    updatedAt: bits(),
  };
}

t.test('values, times and ids of every kind', (t) => {
  const given: PlainEntry[] = [
    { id: 'a', seq: 1, price: MINUS_ZERO, priceAt: 1n, stock: 0n, stockAt: 2n, updatedAt: 3n },
    { id: 'z'.repeat(64), seq: 2 ** 53 - 1, price: ODD_NAN, stock: ABSENT | 1n },
    { id: 'delisted', seq: 3, priceAt: 5n, stockAt: 6n, updatedAt: 7n },
    { id: 'price alone', seq: 4, price: 0x4000000000000000n, priceAt: MINUS_ZERO },
    { id: '0123456789abcdef', seq: 5, stock: 1n, stockAt: 9n },
    { id: '😀é', seq: 6, price: NEVER },
  ];
  const entries = viewsOf(given);
  const shards = emptyShards(2);
  new ShardRestorer(shards, KEY).restore(entries, 0, given.length);
  assertThere(t, shards, given, entries, 0);
  const store = new SharedProductStore(shards, KEY);
  const read = (id: string) => readProduct(store, id);
  t.match(read('delisted'), { seq: 3, price: Number.NaN, stock: Number.NaN });
  t.match(read('price alone'), { seq: 4, price: 2, stock: Number.NaN });
  t.equal(read('a '), 'missing');
  t.end();
});

for (const [shardCount, first, count] of [
  [1, 0, 0],
  [1, 3, 1],
  [3, 1, 64],
  [2, 0, 65],
  [8, 5, 200],
] as const) {
  t.test(`${count} entries from index ${first} on, ${shardCount} shards (seed ${seed})`, (t) => {
    const given = names(count).map((id, i) => randomEntry(id, 1 + i));
    // On both sides of the run: what a frame before and one behind it left there.
    const around = [...names(first, 1000), ...given.map(({ id }) => id), 'behind'];
    const entries = viewsOf(
      around.map((id, i) => given[i - first] ?? randomEntry(id, 5000 + i)),
      0,
    );
    // The fewest bytes that surely hold them: indexes as full as they get, with long probes.
    const shards = emptyShards(shardCount, 65536 / shardCount);
    new ShardRestorer(shards, KEY).restore(entries, first, count);
    assertThere(t, shards, given, entries, first);
    t.equal(foundBytes(shards, 'behind'), undefined);
    t.end();
  });
}

for (const shardCount of [1, 3, 7]) {
  t.test(`a store of 3 shards goes into ${shardCount}`, (t) => {
    const before = new OwnedStore(3, 8192);
    const ids = names(60);
    for (const id of ids) before.put(id);
    before.delist('product-7');
    before.put('product-9', { price: undefined, occurredAtMs: 1e6 });
    const shards = emptyShards(shardCount, 24576 / shardCount);
    const restorer = new ShardRestorer(shards, KEY);
    for (const { buffer, entriesAt, words } of before.shards) {
      const used = words[SHARD_USED];
      restorer.restore(new SlotViews(buffer, entriesAt * 4, used), 0, used);
    }
    const store = new SharedProductStore(shards, KEY);
    for (const id of [...ids, 'unknown']) {
      t.strictSame(readProduct(store, id), readProduct(before.store, id), id);
    }
    t.equal(store.size, before.store.size);
    const walked = idsOf(store.walk()).sort();
    t.strictSame(walked, ids.filter((id) => id !== 'product-7').sort(), 'a walk meets all of them');
    t.end();
  });
}

t.test('of two states the one with the higher seq stays, whole', (t) => {
  const [older, newer] = [randomEntry('p', 10), randomEntry('p', 11)];
  for (const given of [
    [older, newer],
    [newer, older],
  ]) {
    const shards = emptyShards(1);
    const restorer = new ShardRestorer(shards, KEY);
    restorer.restore(viewsOf([randomEntry('other', 50)]), 0, 1);
    for (const entry of given) restorer.restore(viewsOf([entry]), 0, 1);
    const found = foundBytes(shards, 'p') as Buffer;
    t.ok(found.equals(expectedBytes(viewsOf([newer]), 0, found)));
    t.equal(shards[0].words[SHARD_USED], 2);
  }
  const shards = emptyShards(1);
  new ShardRestorer(shards, KEY).restore(viewsOf([newer, older, newer]), 0, 3);
  t.equal(shards[0].words[SHARD_USED], 1, 'also within one run');
  t.end();
});

t.test('more products than there is room for are told', (t) => {
  const shards = emptyShards(1, 4096);
  const [{ entries: room }] = shards;
  const restorer = new ShardRestorer(shards, KEY);
  const given = names(room).map((id, i) => randomEntry(id, 1 + i));
  restorer.restore(viewsOf(given), 0, room);
  assertThere(t, shards, given, viewsOf(given), 0);
  t.throws(() => restorer.restore(viewsOf([randomEntry('new', 1000)]), 0, 1), NoRoomError);
  assertThere(t, shards, given, viewsOf(given), 0);
  const later = [randomEntry('product-0', 2000)];
  restorer.restore(viewsOf(later), 0, 1);
  const found = foundBytes(shards, 'product-0') as Buffer;
  t.ok(found.equals(expectedBytes(viewsOf(later), 0, found)), 'a known one needs no room');
  t.end();
});

t.test('events go on from the restored state', (t) => {
  const shards = emptyShards(2);
  const at = (ms: number) => new BigUint64Array(Float64Array.of(ms).buffer)[0];
  const state = { price: at(1), priceAt: at(100), stock: at(2), stockAt: at(200) };
  const given: PlainEntry[] = [
    { id: 'p', seq: 10, ...state },
    { id: 'gone', seq: 11, priceAt: at(300), stockAt: at(300) },
  ];
  new ShardRestorer(shards, KEY).restore(viewsOf(given), 0, given.length);
  const slots = new SlotViews(new SharedArrayBuffer(SLOT_BYTES), 0, 1);
  const writer = new ShardWriter(shards, slots, new Int32Array(UNDO_BYTES / 4));
  const apply = (seq: number, productId: string, occurredAtMs: number, expectedSeq = 0) => {
    const event = { seq, productId, price: seq, stock: seq, occurredAtMs, expectedSeq };
    putEvent(slots, 0, event, KEY);
    return writer.apply(seq, 0, seq);
  };
  t.equal(apply(9, 'p', 1000), 'overtaken');
  t.equal(apply(10, 'p', 1000), 'applied', 'the one that the entry is of');
  t.equal(apply(12, 'p', 99), 'stale');
  t.equal(apply(13, 'p', 1000, 9), 'refused');
  t.equal(apply(14, 'p', 150, 10), 'applied');
  t.equal(apply(15, 'gone', 299), 'stale', 'a delisted product does not come back');
  t.equal(apply(16, 'new', 1), 'applied');
  const store = new SharedProductStore(shards, KEY);
  t.match(readProduct(store, 'p'), {
    seq: 14,
    price: 14,
    priceAtMs: 150,
    stock: 2,
    stockAtMs: 200,
  });
  t.match(readProduct(store, 'gone'), { seq: 11, price: Number.NaN, stock: Number.NaN });
  t.match(readProduct(store, 'new'), { seq: 16 });
  t.equal(store.size, 3);
  t.end();
});
