/** An event in its slot: what stands where, and what never gets in. */
import t from 'tap';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import type { ProductEvent } from '../../src/event/product-event.ts';
import { encodeEvent } from '../../src/event/slot-encoder.ts';
import {
  describeSlot,
  EXPECTED_UNLISTED,
  FLAG_ARRIVAL_TIME,
  FLAG_IF_UNLISTED,
  isKeyed,
  isMetaValid,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_PRICE,
  SLOT_STOCK,
  SLOT_WORDS,
  SlotViews,
  TIME_OF_THE_LOG,
} from '../../src/ring/slot.ts';

const INDEX = 1;

/** The event in a slot that was full of something else. */
function encode(event: Partial<ProductEvent>) {
  const slots = new SlotViews(new ArrayBuffer(3 * SLOT_BYTES), 0, 3);
  slots.bytes.fill(0xa5);
  const whole = { productId: 'Stück', price: 1.5, stock: 2, occurredAtMs: 3, ...event };
  encodeEvent(whole, slots, INDEX);
  const meta = slots.words[INDEX * SLOT_WORDS + SLOT_META];
  t.ok(isMetaValid(meta));
  for (const index of [0, 2]) {
    const at = index * SLOT_BYTES;
    t.ok(
      slots.bytes.subarray(at, at + SLOT_BYTES).every((byte) => byte === 0xa5),
      'its own slot only',
    );
  }
  return { slots, meta, content: describeSlot(slots, INDEX) };
}

t.test('what a slot says of an event', async (t) => {
  const { content, meta, slots } = encode({});
  const plain = { seq: 0, productId: 'Stück', price: 1.5, stock: 2, occurredAtMs: 3 };
  t.strictSame(content, plain);
  t.equal(meta & FLAG_ARRIVAL_TIME, 0);
  t.notOk(isKeyed(slots.words, INDEX));
  t.strictSame(encode({ price: undefined }).content, { ...plain, price: undefined });
  const deleted = { price: undefined, stock: undefined, isDelete: true };
  t.strictSame(encode(deleted).content, { ...plain, ...deleted });
  const created = encode({ expectedSeq: EXPECTED_UNLISTED });
  t.strictSame(created.content, { ...plain, expectedSeq: EXPECTED_UNLISTED });
  t.ok(created.meta & FLAG_IF_UNLISTED);
});

t.test('an event without a time says so, and waits for that of the log', async (t) => {
  const { content, meta } = encode({ occurredAtMs: undefined });
  t.equal(content.occurredAtMs, TIME_OF_THE_LOG);
  t.ok(meta & FLAG_ARRIVAL_TIME);
});

t.test('−0 is 0', async (t) => {
  const { doubles } = encode({ price: -0, stock: -0 }).slots;
  t.ok(Object.is(doubles[INDEX * SLOT_DOUBLES + SLOT_PRICE], 0));
  t.ok(Object.is(doubles[INDEX * SLOT_DOUBLES + SLOT_STOCK], 0));
});

t.test('an event under a key has one in its slot', async (t) => {
  const { slots } = encode({ key: fingerprintKey('event', 'e-1') });
  t.ok(isKeyed(slots.words, INDEX));
});

t.test('what no valid event has never gets into a slot', async (t) => {
  for (const event of [
    { productId: '' },
    { productId: 'x'.repeat(65) },
    { productId: '\ud800' },
    { price: -1 },
    { price: Number.POSITIVE_INFINITY },
    { price: Number.NaN },
    { stock: 1.5 },
    { stock: 2 ** 53 },
    { price: undefined, stock: undefined },
    { isDelete: true },
    { expectedSeq: EXPECTED_UNLISTED - 1 },
    { expectedSeq: 0.5 },
    { occurredAtMs: Number.NaN },
  ]) {
    t.throws(() => encode(event), TypeError, JSON.stringify(event));
  }
});
