/**
 * The intake ring's front end: exactly QUEUE_SIZE in flight, waiters told once and in order.
 * (Over 300 lines: all of it drives the one bench at its top.)
 */
import t, { type Test } from 'tap';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import type { ProductEvent } from '../../src/event/product-event.ts';
import type { EventWaiter } from '../../src/intake/event-intake.ts';
import { RingIntake } from '../../src/intake/ring-intake.ts';
import { SlotAdmission } from '../../src/intake/slot-admission.ts';
import {
  INTAKE_DOORBELL,
  INTAKE_HEAD,
  INTAKE_TAIL,
  IntakeRing,
  publishTail,
} from '../../src/ring/intake-ring.ts';
import {
  describeSlot,
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  FLAG_NO_ROOM,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_FINGERPRINT,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../../src/ring/slot.ts';
import { Admission } from '../../src/store/admission.ts';
import { Shard, shardSize } from '../../src/store/shard.ts';
import { ShardWriter, UNDO_BYTES } from '../../src/store/shard-writer.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { putEvent } from '../helpers/models/plain-event.ts';

const KEY = { k0: 1, k1: 2 };

interface BenchOptions {
  readonly queueSize?: number;
  readonly firstCursor?: number;
  readonly storageTimeoutMs?: number;
  readonly gatherMs?: number;
  readonly isLogShared?: boolean;
  /** Products that fit. */
  readonly productsMax?: number;
}

/** An intake whose log thread is the test. */
class IntakeBench {
  readonly ring: IntakeRing;
  readonly intake: RingIntake;
  readonly told: string[] = [];
  readonly #shard: Shard;
  readonly #writer: ShardWriter;
  readonly #slots = new SlotViews(new ArrayBuffer(SLOT_BYTES), 0, 1);
  readonly #change: { resolve: () => void; promise: Promise<void> }[] = [];
  #seq = 0;

  constructor(t: Test, options: BenchOptions = {}) {
    const { queueSize = 5, firstCursor = 0, storageTimeoutMs = 60_000 } = options;
    const { productsMax = 100, gatherMs = 0 } = options;
    this.ring = IntakeRing.create(queueSize, firstCursor);
    this.#shard = Shard.create(shardSize(64 * 1024));
    this.#writer = new ShardWriter([this.#shard], this.#slots, new Int32Array(UNDO_BYTES / 4));
    const plan = { shards: 1, shard: shardSize(64 * 1024), productsMax };
    this.intake = new RingIntake({
      ring: this.ring,
      queueSize,
      admission: new SlotAdmission({
        store: new SharedProductStore([this.#shard], KEY),
        admission: new Admission([this.#shard], plan),
        shards: 1,
        hashKey: KEY,
      }),
      storageTimeoutMs,
      gatherMs,
      isLogShared: options.isLogShared,
    });
    this.intake.open();
    // What the intake awaits does not keep the process alive by itself.
    const alive = setInterval(() => undefined, 1000);
    t.teardown(() => {
      clearInterval(alive);
      this.intake.dispose();
    });
  }

  offer(name: string, event: Partial<ProductEvent> = {}) {
    const whole = { productId: name, price: 1, stock: 2, occurredAtMs: 3, ...event };
    return this.intake.offer(whole, this.waiter(name));
  }

  waiter(name: string): EventWaiter {
    return {
      durable: (seq, isReplayed) =>
        this.#tell(`${name} ${isReplayed === true ? 'replayed' : 'durable'} ${seq}`),
      conflict: () => this.#tell(`${name} conflict`),
      noRoom: () => this.#tell(`${name} no room`),
      failed: (outcome) => this.#tell(`${name} failed ${outcome}`),
    };
  }

  /** Resolves once `count` waiters were told. */
  async toldSoFar(count: number): Promise<string[]> {
    while (this.told.length < count) {
      const change = Promise.withResolvers<void>();
      this.#change.push(change);
      await change.promise;
    }
    return this.told;
  }

  /** Does the log thread's part for the next `count` slots. */
  settle(count: number): void {
    const { cursors, mask, slots } = this.ring;
    let tail = Atomics.load(cursors, INTAKE_TAIL);
    for (let i = 0; i < count; i++) {
      slots.doubles[(tail & mask) * SLOT_DOUBLES + SLOT_SEQ] = ++this.#seq;
      tail = (tail + 1) | 0;
    }
    publishTail(this.ring, tail);
  }

  /** Does the log thread's part for the next slot, which it drops. */
  drop(flag: number, seq: number): void {
    const { cursors, mask, slots } = this.ring;
    const tail = Atomics.load(cursors, INTAKE_TAIL);
    const meta = (tail & mask) * SLOT_WORDS + SLOT_META;
    slots.words[meta] = slots.words[meta] | flag;
    slots.doubles[(tail & mask) * SLOT_DOUBLES + SLOT_SEQ] = seq;
    publishTail(this.ring, (tail + 1) | 0);
  }

  /** Does the applier's part for a product whose event had a reservation. */
  apply(productId: string, seq: number): void {
    const event = { productId, price: 1, stock: 2, occurredAtMs: 3, seq, reserved: true };
    putEvent(this.#slots, 0, event, KEY);
    this.#writer.apply(seq, 0, 0);
  }

  get head(): number {
    return Atomics.load(this.ring.cursors, INTAKE_HEAD);
  }

  #tell(what: string): void {
    this.told.push(what);
    for (const { resolve } of this.#change.splice(0)) resolve();
  }
}

/** The next turn of the event loop, when what was offered is published. */
function turn(): Promise<void> {
  return new Promise(setImmediate);
}

for (const firstCursor of [0, 2 ** 31 - 3, -3]) {
  t.test(`exactly QUEUE_SIZE events are in flight, from cursor ${firstCursor}`, async (t) => {
    for (const queueSize of [1, 2, 5, 8]) {
      const bench = new IntakeBench(t, { queueSize, firstCursor });
      for (let n = 0; n < queueSize; n++) t.equal(bench.offer(`e${n}`), 'queued');
      t.equal(bench.offer('late'), 'queue-full');
      t.equal(bench.intake.inFlight, queueSize);
      await turn();
      t.equal(bench.offer('late'), 'queue-full', 'publishing frees nothing');
      bench.settle(1);
      await bench.toldSoFar(1);
      t.equal(bench.offer('next'), 'queued', 'one settled, one free');
      t.equal(bench.offer('late'), 'queue-full');
      await turn();
      bench.settle(queueSize);
      const expected = Array.from({ length: queueSize }, (_, n) => `e${n} durable ${n + 1}`);
      expected.push(`next durable ${queueSize + 1}`);
      t.same(await bench.toldSoFar(queueSize + 1), expected, 'each is told once, in order');
      t.equal(bench.intake.inFlight, 0);
    }
  });
}

t.test('what was offered in a turn is published at its end, with one bell', async (t) => {
  const bench = new IntakeBench(t);
  const event = { productId: 'é', price: -0, stock: 7, occurredAtMs: 99 };
  t.equal(bench.intake.offer(event, undefined), 'queued');
  t.equal(bench.offer('b'), 'queued');
  t.equal(bench.head, 0, 'not yet');
  await turn();
  t.equal(bench.head, 2);
  t.equal(Atomics.load(bench.ring.cursors, INTAKE_DOORBELL), 1);
  const expected = { seq: 0, productId: 'é', price: 0, stock: 7, occurredAtMs: 99 };
  t.same(describeSlot(bench.ring.slots, 0), expected);
  t.ok(Object.is(describeSlot(bench.ring.slots, 0).price, 0), '−0 became 0');
});

t.test('turns that follow each other are published together, with one bell', async (t) => {
  const bench = new IntakeBench(t, { gatherMs: Number.POSITIVE_INFINITY });
  bench.offer('a');
  bench.offer('b');
  await turn();
  t.equal(bench.head, 0, 'the next turn may bring more');
  bench.offer('c');
  await turn();
  t.equal(bench.head, 0);
  await turn();
  t.equal(bench.head, 3, 'it brought none');
  t.equal(Atomics.load(bench.ring.cursors, INTAKE_DOORBELL), 1);
  bench.settle(3);
  t.same(await bench.toldSoFar(3), ['a durable 1', 'b durable 2', 'c durable 3']);
});

t.test('a client that is alone waits for nobody', async (t) => {
  const bench = new IntakeBench(t, { gatherMs: Number.POSITIVE_INFINITY });
  bench.offer('a');
  await turn();
  t.equal(bench.head, 1);
});

t.test('what the ring must not hold is refused at its edge', async (t) => {
  const bench = new IntakeBench(t);
  const wrong: Partial<ProductEvent>[] = [
    { price: Number.NaN },
    { price: -1 },
    { price: Infinity },
    { stock: -(2 ** 53) },
    { stock: 0.5 },
    { stock: 2 ** 53 },
    { productId: '' },
    { productId: 'x'.repeat(65) },
    { productId: '\ud800' },
    { occurredAtMs: Number.NaN },
    { occurredAtMs: Infinity },
  ];
  for (const event of wrong) t.throws(() => bench.offer('x', event), TypeError, event);
  t.equal(bench.intake.inFlight, 0);
});

t.test('closed before it is opened and after it is closed; close waits for the rest', async (t) => {
  const bench = new IntakeBench(t);
  t.equal(bench.offer('a'), 'queued');
  t.equal(bench.offer('b'), 'queued');
  const closed = bench.intake.close().then(() => bench.told.push('closed'));
  t.equal(bench.offer('c'), 'closed');
  await turn();
  bench.settle(1);
  await bench.toldSoFar(1);
  t.equal(bench.intake.inFlight, 1);
  bench.settle(1);
  await closed;
  t.same(bench.told, ['a durable 1', 'b durable 2', 'closed']);
  await bench.intake.close();
  t.pass('closing an empty one resolves at once');
});

t.test('offers are refused while the storage is unavailable', async (t) => {
  const bench = new IntakeBench(t);
  bench.offer('a');
  bench.intake.storageAvailable = false;
  t.equal(bench.offer('b'), 'storage-unavailable');
  await turn();
  bench.settle(1);
  t.same(await bench.toldSoFar(1), ['a durable 1'], 'what is in flight goes on waiting');
  bench.intake.storageAvailable = true;
  t.equal(bench.offer('b'), 'queued');
});

t.test('a waiter that waited too long is told so; its slot stays in flight', async (t) => {
  const bench = new IntakeBench(t, { queueSize: 2, storageTimeoutMs: 10 });
  bench.offer('a');
  bench.offer('b');
  t.same(await bench.toldSoFar(2), ['a failed unknown', 'b failed unknown']);
  t.equal(bench.offer('c'), 'queue-full');
  bench.settle(2);
  await bench.intake.close();
  t.equal(bench.told.length, 2, 'nobody is told twice');
});

t.test('failAll tells everybody who still waits, once', async (t) => {
  const bench = new IntakeBench(t);
  for (const name of ['a', 'b', 'c']) bench.offer(name);
  await turn();
  bench.settle(1);
  await bench.toldSoFar(1);
  const closed = bench.intake.close();
  bench.intake.failAll();
  await closed;
  bench.settle(2);
  await turn();
  t.same(bench.told, ['a durable 1', 'b failed unknown', 'c failed unknown']);
  t.equal(bench.intake.inFlight, 0);
});

t.test('a waiter may offer the next event while it is told', async (t) => {
  const bench = new IntakeBench(t, { queueSize: 1 });
  const again: EventWaiter = {
    durable: (seq) => t.equal(bench.offer(`after ${seq}`), 'queued'),
    conflict: () => t.fail(),
    failed: () => t.fail(),
  };
  bench.intake.offer({ productId: 'p', price: 1, stock: 1, occurredAtMs: 1 }, again);
  await turn();
  bench.settle(1);
  // The first one settles when the ring's bell wakes the intake.
  while (bench.intake.inFlight > 0 && bench.head === 1) await turn();
  bench.settle(1);
  t.same(await bench.toldSoFar(1), ['after 1 durable 2']);
});

t.test('Retry-After is a whole number of seconds, 1 to 60', async (t) => {
  const bench = new IntakeBench(t);
  t.equal(bench.intake.retryAfterSeconds(), 1, 'nothing measured, nothing waiting');
  for (let n = 0; n < 5; n++) bench.offer(`e${n}`);
  const seconds = bench.intake.retryAfterSeconds();
  // As long as they have waited on a machine that stands still.
  t.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60, `${seconds}`);
});

t.test('store full: new products are refused, undecided first, and known ones go on', async (t) => {
  const bench = new IntakeBench(t, { queueSize: 8, productsMax: 2 });
  t.equal(bench.offer('a'), 'queued');
  t.equal(bench.offer('b'), 'queued');
  t.equal(bench.offer('c'), 'undecided', 'the room is reserved, but not used yet');
  t.equal(bench.offer('a'), 'undecided', 'not in the store yet, so it might be new');
  bench.apply('a', 1);
  t.equal(bench.offer('a'), 'queued', 'known by now: needs no room');
  t.equal(bench.offer('c'), 'undecided');
  bench.apply('b', 2);
  t.equal(bench.offer('c'), 'store-full');
  t.equal(bench.offer('b'), 'queued');
});

t.test('two events of one new product need its room once', async (t) => {
  const bench = new IntakeBench(t, { queueSize: 8, productsMax: 2 });
  t.equal(bench.offer('a'), 'queued');
  t.equal(bench.offer('a'), 'queued', 'reserves twice: whether it is one product is not known');
  t.equal(bench.offer('b'), 'undecided');
  bench.apply('a', 1);
  bench.apply('a', 2);
  t.equal(bench.offer('b'), 'queued', 'the second reservation came back');
  bench.apply('b', 3);
  t.equal(bench.offer('c'), 'store-full');
});

t.test('a shared log may have no room for what was let in, with a key or without', async (t) => {
  const bench = new IntakeBench(t, { isLogShared: true, productsMax: 2 });
  bench.offer('a');
  bench.offer('b', { key: fingerprintKey('event', 'k') });
  t.equal(bench.offer('c'), 'undecided', 'all room is reserved');
  await turn();
  bench.drop(FLAG_NO_ROOM, 0);
  bench.drop(FLAG_NO_ROOM, 0);
  t.same(await bench.toldSoFar(2), ['a no room', 'b no room']);
  t.equal(bench.offer('c'), 'queued', 'what was reserved is given back');
});

t.test('a repetition is answered with the first seq, a conflict with nothing', async (t) => {
  const bench = new IntakeBench(t);
  const key = fingerprintKey('event', 'k');
  bench.offer('a', { key });
  bench.offer('b', { key });
  bench.offer('c');
  const words = bench.ring.slots.words;
  const fingerprintOf = (index: number) => {
    const at = index * SLOT_WORDS + SLOT_FINGERPRINT;
    return [...words.subarray(at, at + 4)];
  };
  t.same(fingerprintOf(0).slice(0, 3), [...key]);
  t.same(fingerprintOf(1).slice(0, 3), [...key]);
  t.not(fingerprintOf(0)[3], fingerprintOf(1)[3], 'another content');
  t.same(fingerprintOf(2), [0, 0, 0, 0]);
  await turn();
  bench.drop(FLAG_DUPLICATE, 17);
  bench.drop(FLAG_CONFLICT, 0);
  bench.settle(1);
  t.same(await bench.toldSoFar(3), ['a replayed 17', 'b conflict', 'c durable 1']);
});

t.test('a slot that was dropped gives back the room that was reserved for it', async (t) => {
  const bench = new IntakeBench(t, { queueSize: 8, productsMax: 2 });
  const key = fingerprintKey('event', 'k');
  t.equal(bench.offer('a', { key }), 'queued');
  t.equal(bench.offer('a', { key }), 'queued');
  t.equal(bench.offer('b'), 'undecided');
  await turn();
  bench.settle(1);
  bench.drop(FLAG_DUPLICATE, 1);
  await bench.toldSoFar(2);
  t.equal(bench.offer('b', { key }), 'queued');
  t.equal(bench.offer('c'), 'undecided', 'and no more than that');
  await turn();
  bench.drop(FLAG_CONFLICT, 0);
  await bench.toldSoFar(3);
  t.equal(bench.offer('c'), 'queued');
});
