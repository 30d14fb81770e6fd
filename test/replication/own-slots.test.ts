/** What a message has of which thread's rings, on its way out and back, also to the successor of a log thread. */
import t from 'tap';
import { OwnSlots } from '../../src/replication/own-slots.ts';
import { ProposedShares } from '../../src/replication/proposed-shares.ts';
import { WINDOW_FRAMES } from '../../src/replication/proposer.ts';
import { INTAKE_HEAD, INTAKE_TAIL, IntakeRing, publishHead } from '../../src/ring/intake-ring.ts';
import {
  FLAGS_RESERVATION,
  metaReservedBy,
  reservedMark,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_PRICE,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../../src/ring/slot.ts';
import { putEvent } from '../helpers/models/plain-event.ts';

const PRODUCERS = 3;
const RINGS = 2 * PRODUCERS;
const FIRST_CURSOR = 0x7fffffff;

class World {
  readonly producers = Array.from({ length: PRODUCERS }, () => ({
    live: IntakeRing.create(8, FIRST_CURSOR),
    bulk: IntakeRing.create(16, FIRST_CURSOR),
  }));
  readonly #shares = ProposedShares.create(RINGS);
  #prices = 0;

  /** A log thread, or its successor. */
  slots(): OwnSlots {
    const [first, ...further] = this.producers;
    if (first === undefined) throw new Error('three');
    return new OwnSlots({ ...first, further }, new ProposedShares(this.#shares, RINGS));
  }

  /** Publishes `count` events; returns their prices. */
  push(producer: number, kind: 'live' | 'bulk', count: number): number[] {
    const ring = this.ring(producer, kind);
    const prices = Array.from({ length: count }, () => ++this.#prices);
    for (const price of prices) {
      const head = ring.cursors[INTAKE_HEAD] ?? 0;
      const index = head & ring.mask;
      const event = { seq: 0, productId: 'p', price, stock: 1, occurredAtMs: 1 };
      putEvent(ring.slots, index, event, { k0: 1, k1: 2 });
      // Every second one found room that it may need.
      if (price % 2 === 0) {
        ring.slots.words[index * SLOT_WORDS + SLOT_META] |= reservedMark(producer);
      }
      publishHead(ring, (head + 1) | 0, this.ring(0, 'live'));
    }
    return prices;
  }

  ring(producer: number, kind: 'live' | 'bulk'): IntakeRing {
    const rings = this.producers[producer];
    if (rings === undefined) throw new Error(`no producer ${producer}`);
    return rings[kind];
  }

  /** Settled slots. */
  settled(producer: number, kind: 'live' | 'bulk'): number {
    return ((this.ring(producer, kind).cursors[INTAKE_TAIL] ?? 0) - FIRST_CURSOR) | 0;
  }
}

function taken(slots: OwnSlots, n: number) {
  const next = slots.takeNext(n);
  if (next === undefined) throw new Error('nothing is pending');
  const { live, bulk, body } = next;
  const views = new SlotViews(body.slice().buffer, 0, live + bulk);
  const prices = Array.from(
    { length: live + bulk },
    (_, i) => views.doubles[i * SLOT_DOUBLES + SLOT_PRICE],
  );
  return { message: { n, live, bulk }, views, prices };
}

t.test('live rings one after the other, then bulk rings, each told of its own', (t) => {
  const world = new World();
  const slots = world.slots();
  const bulk = world.push(1, 'bulk', 3);
  const live = [world.push(0, 'live', 1), world.push(2, 'live', 2)].flat();
  const { message, views, prices } = taken(slots, 1);
  t.strictSame(prices, [...live, ...bulk]);
  t.match(message, { live: 3, bulk: 3 });
  for (let i = 0; i < prices.length; i++) {
    const meta = views.words[i * SLOT_WORDS + SLOT_META] ?? 0;
    t.equal(meta & FLAGS_RESERVATION, 0, 'nobody else has to know of reservations');
  }

  slots.returned(message);
  slots.mark(views);
  const producers = [0, 2, 2, 1, 1, 1];
  for (const [i, price] of prices.entries()) {
    const meta = views.words[i * SLOT_WORDS + SLOT_META] ?? 0;
    const isReserved = (meta & FLAGS_RESERVATION) !== 0;
    t.equal(isReserved, Number(price) % 2 === 0);
    if (isReserved) t.equal(metaReservedBy(meta), producers[i], 'it is whose it was');
    views.doubles[i * SLOT_DOUBLES + SLOT_SEQ] = 100 + i;
  }
  slots.tell(views);
  slots.pass();
  t.equal(world.settled(2, 'live'), 0, 'not before');
  slots.settle();
  t.strictSame(
    [0, 1, 2].map((p) => world.settled(p, 'live')),
    [1, 0, 2],
  );
  t.strictSame(
    [0, 1, 2].map((p) => world.settled(p, 'bulk')),
    [0, 3, 0],
  );
  const ring = world.ring(1, 'bulk');
  for (let i = 0; i < 3; i++) {
    const index = (FIRST_CURSOR + i) & ring.mask;
    t.equal(ring.slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ], 103 + i);
  }
  t.equal(slots.isUnsettled, false);
  t.end();
});

t.test('a successor settles what was on its way, and frames the rest anew', (t) => {
  const world = new World();
  const first = world.slots();
  world.push(1, 'live', 2);
  const one = taken(first, 1);
  world.push(0, 'live', 1);
  world.push(2, 'bulk', 4);
  const two = taken(first, 2);
  world.push(2, 'bulk', 1);
  const three = taken(first, 3);
  // It dies, with three on their way; the first two come back.
  const second = world.slots();
  world.push(1, 'live', 1);
  for (const { message } of [one, two]) {
    second.returned(message);
    second.pass();
    second.settle();
  }
  t.strictSame(
    [0, 1, 2].map((p) => world.settled(p, 'live')),
    [1, 2, 0],
  );
  t.equal(world.settled(2, 'bulk'), 4);
  second.rewind();
  const anew = taken(second, 1);
  t.match(anew.message, { live: 1, bulk: 1 }, 'the third, and what came meanwhile');
  t.strictSame(anew.prices.slice(1), three.prices);
  t.end();
});

t.test('a writer that the stream has forgotten sends all of it again', (t) => {
  const world = new World();
  const slots = world.slots();
  world.push(2, 'bulk', 2);
  t.equal(slots.isUnsettled, true);
  const first = taken(slots, 1);
  world.push(1, 'live', 1);
  taken(slots, 2);
  t.equal(slots.takeNext(3), undefined, 'all of it is on its way');
  t.equal(slots.isUnsettled, true);
  slots.rewind();
  const { prices } = taken(slots, 1);
  t.strictSame(prices.slice(1), first.prices);
  t.equal(prices.length, 3);
  t.end();
});

t.test('a frame that was not noted, or is another than was noted, is a broken promise', (t) => {
  const world = new World();
  const slots = world.slots();
  world.push(0, 'live', 1);
  const { message } = taken(slots, 1);
  t.throws(() => slots.returned({ ...message, n: 2 }), /the frame that has come back was noted/);
  t.throws(() => slots.returned({ ...message, n: 1 + WINDOW_FRAMES }));
  t.throws(() => slots.returned({ ...message, live: 2 }), /single events in message 1/);
  t.throws(() => slots.returned({ ...message, bulk: 1 }), /events of batches in message 1/);
  t.end();
});

t.test('of what is too much for one message each thread has its part', (t) => {
  const rings = Array.from({ length: 2 }, () => ({
    live: IntakeRing.create(1),
    bulk: IntakeRing.create(16_384),
  }));
  const [main, other] = rings;
  if (main === undefined || other === undefined) throw new Error('two');
  const shares = new ProposedShares(ProposedShares.create(4), 4);
  const slots = new OwnSlots({ ...main, further: [other] }, shares);
  publishHead(main.bulk, 16_384, main.live);
  publishHead(other.bulk, 1000, main.live);
  slots.takeNext(1);
  t.strictSame([...shares.of(1)], [0, 0, 7128, 1000]);
  publishHead(other.bulk, 16_384, main.live);
  slots.takeNext(2);
  t.strictSame([...shares.of(2)], [0, 0, 4064, 4064]);
  // A single event keeps messages short.
  publishHead(other.live, 1, main.live);
  slots.takeNext(3);
  t.strictSame([...shares.of(3)], [0, 1, 1024, 1024]);
  t.end();
});
