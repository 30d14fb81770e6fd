/** Fingerprints are on disk, so they are the same for ever: golden values, and what makes them differ. */
import t from 'tap';
import { fingerprintKey, putFingerprint } from '../../src/event/fingerprint.ts';
import {
  FLAG_ARRIVAL_TIME,
  FLAG_RESERVED,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_FINGERPRINT,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_WORDS,
  SlotViews,
} from '../../src/ring/slot.ts';
import { type PlainEvent, putEvent } from '../helpers/models/plain-event.ts';

const EVENT: PlainEvent = {
  seq: 0,
  productId: 'sku-1',
  price: 49.99,
  stock: 7,
  occurredAtMs: 1_767_225_600_000,
};
const INDEX = 1;

/** The fingerprint of `event`, of which `change` may change the slot. */
function fingerprintOf(
  event: PlainEvent,
  { key = 'a', line = 0, change = (_: SlotViews) => {} } = {},
): number[] {
  const slots = new SlotViews(new ArrayBuffer(2 * SLOT_BYTES), 0, 2);
  putEvent(slots, INDEX, event, { k0: Math.random() * 2 ** 31, k1: 2 });
  change(slots);
  putFingerprint(slots.words, INDEX, fingerprintKey('event', key), line);
  const at = INDEX * SLOT_WORDS + SLOT_FINGERPRINT;
  return [...slots.words.subarray(at, at + 4)].map((word) => word >>> 0);
}

function addFlag(flag: number) {
  return ({ words }: SlotViews) => {
    words[INDEX * SLOT_WORDS + SLOT_META] = words[INDEX * SLOT_WORDS + SLOT_META] | flag;
  };
}

function setDouble(offset: number, value: number) {
  return ({ doubles }: SlotViews) => {
    doubles[INDEX * SLOT_DOUBLES + offset] = value;
  };
}

t.test('keys have these fingerprints', (t) => {
  const hex = (words: Int32Array) => Buffer.from(words.buffer).toString('hex');
  // printf 'e:a' | sha256sum | cut -c 1-24
  t.equal(hex(fingerprintKey('event', 'a')), 'd936f2014c3b436cf355f01f');
  t.equal(hex(fingerprintKey('request', 'a')), '9665ad29257f8c97f62ddd4b');
  t.equal(hex(fingerprintKey('event', 'ü😀')), '93e32d4716487d6ddf676763');
  t.end();
});

// MurmurHash3 of the words that the file's header lists, by another implementation.
t.test('contents have these fingerprints', (t) => {
  const content = (event: PlainEvent, options = {}) => fingerprintOf(event, options)[3];
  t.equal(content(EVENT), 3_302_128_976);
  t.equal(content(EVENT, { change: addFlag(FLAG_ARRIVAL_TIME) }), 457_929_094);
  t.equal(content({ ...EVENT, stock: undefined }), 985_211_895);
  t.equal(content({ ...EVENT, price: undefined, expectedSeq: -1 }), 1_205_658_070);
  t.equal(content({ ...EVENT, price: undefined, stock: undefined, isDelete: true }), 3_650_842_146);
  t.equal(content({ ...EVENT, productId: 'é'.repeat(32), price: 0 }), 584_153_600);
  t.end();
});

t.test('what a client says makes a difference, all else does not', (t) => {
  const same = fingerprintOf(EVENT);
  t.same(fingerprintOf({ ...EVENT, seq: 9, reserved: true }), same, 'seq, hash and reservation');
  t.same(fingerprintOf(EVENT, { change: addFlag(FLAG_RESERVED) }), same);
  const arrival = { change: addFlag(FLAG_ARRIVAL_TIME) };
  const later = { ...EVENT, occurredAtMs: EVENT.occurredAtMs + 1 };
  t.same(fingerprintOf(later, arrival), fingerprintOf(EVENT, arrival), 'the time of arrival');
  const { price: _, ...rest } = EVENT;
  const absent = { ...rest, price: undefined };
  const garbage = { change: setDouble(SLOT_PRICE, 5) };
  t.same(fingerprintOf(absent, garbage), fingerprintOf(absent), 'what stands in an absent field');

  const others = [
    fingerprintOf(EVENT, arrival),
    fingerprintOf(later),
    fingerprintOf({ ...EVENT, productId: 'sku-2' }),
    fingerprintOf({ ...EVENT, productId: 'sku-11' }),
    fingerprintOf({ ...EVENT, price: 49.990000000000009 }),
    fingerprintOf({ ...EVENT, stock: 8 }),
    fingerprintOf({ ...EVENT, price: 7, stock: 49.99 }),
    fingerprintOf(absent),
    fingerprintOf({ ...EVENT, stock: undefined }),
    fingerprintOf({ ...EVENT, isDelete: true }),
    fingerprintOf(EVENT, { change: setDouble(SLOT_EXPECTED_SEQ, 1) }),
    fingerprintOf(EVENT, { change: setDouble(SLOT_EXPECTED_SEQ, -1) }),
    fingerprintOf(EVENT, { change: setDouble(SLOT_OCCURRED_AT, 0) }),
  ];
  for (const other of others) t.same(other.slice(0, 3), same.slice(0, 3), 'the same key');
  const contents = new Set([same, ...others].map((fingerprint) => fingerprint[3]));
  t.equal(contents.size, others.length + 1, 'each with its own content');
  t.end();
});

t.test('the line of a batch is a part of the key, and wraps', (t) => {
  const first = fingerprintOf(EVENT);
  const third = fingerprintOf(EVENT, { line: 2 });
  t.same(third, [(first[0] + 2) % 2 ** 32, ...first.slice(1)]);
  const last = fingerprintOf(EVENT, { line: 2 ** 32 - 1 });
  t.same(last, [(first[0] + 2 ** 32 - 1) % 2 ** 32, ...first.slice(1)]);
  t.end();
});
