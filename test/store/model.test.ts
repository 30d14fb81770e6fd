/**
 * The store and its merge rule against a plain Map, over long random histories: many products in
 * several shards, fields set alone, event times out of order and equal, deaths in between; products that are
 * forgotten, and places that are freed and taken again.
 */
import t from 'tap';
import { MortalStore } from '../helpers/models/mortal-store.ts';
import type { PlainEvent } from '../helpers/models/plain-event.ts';
import { ProductModel, readProduct } from '../helpers/models/product-model.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const EVENTS = 60_000;
const PRODUCTS = 300;
const PRICES = [0, 0.01, 49.99, 1e-300, Number.MAX_VALUE, Number.MIN_VALUE];
const STOCKS = [0, 1, 100, Number.MAX_SAFE_INTEGER];
const TIMES = [-8.64e15, -1, 0, 1, 8.64e15];

function productId(n: number): string {
  // Short and long ones, and such that differ in the last byte only.
  return n % 3 === 0 ? `p${n}` : `${'long-'.repeat(11)}${n}`;
}

function randomEvent(random: Random, seq: number, model: ProductModel): PlainEvent {
  if (random.chance(0.1)) {
    const id = productId(random.below(random.chance(0.5) ? 10 : PRODUCTS));
    const expectedSeq = (model.products.get(id)?.seq ?? 1) - (random.chance(0.1) ? 1 : 0);
    const none = { price: undefined, stock: undefined, occurredAtMs: 0 };
    return { seq, productId: id, ...none, isForget: true, expectedSeq };
  }
  const fields = random.below(6);
  const price = random.chance(0.1) ? random.pick(PRICES) : random.below(1e6) / 100;
  const stock = random.chance(0.1) ? random.pick(STOCKS) : random.below(1e4);
  // Around the event's number, so that most are late by a little and some equal.
  const isDelete = random.chance(0.2);
  const condition = random.chance(0.05)
    ? { expectedSeq: random.pick([-1, -1, -2, seq - 1, 7]) }
    : {};
  const near = Math.max(0, Math.floor(seq / 20) + random.below(9) - 4);
  return {
    seq,
    productId: productId(random.below(random.chance(0.5) ? 10 : PRODUCTS)),
    price: fields === 0 || isDelete ? undefined : price,
    stock: fields === 1 || isDelete ? undefined : stock,
    occurredAtMs: random.chance(0.002) ? random.pick(TIMES) : near,
    ...(isDelete ? { isDelete } : {}),
    ...(random.chance(0.3) ? { isArrival: true } : {}),
    ...condition,
  };
}

const seed = testSeed();
t.test(`${EVENTS} events on up to ${PRODUCTS} products (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const memory = new MortalStore({ k0: random.word() | 0, k1: random.word() | 0 }, 5, 32 * 1024);
  const model = new ProductModel();
  let deaths = 0;
  let freed = 0;
  for (let n = 0; n < EVENTS; n++) {
    const event = randomEvent(random, n + 1, model);
    const cursor = (2 ** 31 - EVENTS / 2 + n) | 0;
    memory.put(cursor, event);
    const apply = () => void memory.freshWriter().apply(cursor, memory.slotOf(cursor), 5 * n);
    let mayDie = random.chance(0.1);
    while (memory.writes.run(mayDie ? random.below(40) : Infinity, apply)) {
      deaths++;
      memory.writes.run(Infinity, () => memory.freshWriter().undo(cursor));
      mayDie = random.chance(0.5);
    }
    model.apply(event, 5 * n);
    if (random.chance(0.02)) {
      const dies = random.chance(0.5);
      while (memory.writes.run(dies ? random.below(60) : Infinity, () => memory.sweep())) {
        deaths++;
        memory.writes.run(Infinity, () => memory.freshWriter().undo((cursor + 1) | 0));
        if (random.chance(0.5)) break;
      }
      freed = Math.max(freed, memory.free);
      if (memory.fault !== '') {
        t.fail(memory.fault, { event: n });
        break;
      }
    }
    const found = readProduct(memory.store, event.productId);
    const expected = model.products.get(event.productId) ?? 'missing';
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      t.same(found, expected, `event ${n}`, { event });
      break;
    }
  }
  for (let n = 0; n < PRODUCTS; n++) {
    const found = readProduct(memory.store, productId(n));
    t.same(found, model.products.get(productId(n)) ?? 'missing', productId(n));
  }
  t.equal(memory.store.size - memory.forgotten, model.products.size);
  t.equal(memory.fault, '');
  t.ok(freed > 10, `up to ${freed} places were free`);
  t.ok(deaths > 1000, `${deaths} deaths`);
  t.end();
});

t.test('an equal event time is taken, an older one is not, each field by itself', (t) => {
  const memory = new MortalStore({ k0: 1, k1: 2 }, 1, 4096);
  const send = (event: PlainEvent) => {
    let result = '';
    memory.put(event.seq, event);
    memory.writes.run(Infinity, () => {
      result = memory.freshWriter().apply(event.seq, memory.slotOf(event.seq), event.seq * 10);
    });
    return result;
  };
  const productId = 'p';
  t.equal(send({ seq: 1, productId, price: 1, stock: 1, occurredAtMs: 100 }), 'applied');
  t.equal(send({ seq: 2, productId, price: 2, stock: 2, occurredAtMs: 99 }), 'stale');
  t.equal(send({ seq: 3, productId, price: 3, stock: undefined, occurredAtMs: 100 }), 'applied');
  t.equal(send({ seq: 4, productId, price: undefined, stock: 4, occurredAtMs: 200 }), 'applied');
  t.equal(send({ seq: 5, productId, price: 5, stock: 5, occurredAtMs: 150 }), 'applied');
  t.same(readProduct(memory.store, productId), {
    seq: 5,
    price: 5,
    stock: 4,
    priceAtMs: 150,
    stockAtMs: 200,
    updatedAtMs: 50,
  });
  t.equal(send({ seq: 5, productId, price: 6, stock: 6, occurredAtMs: 300 }), 'applied');
  t.equal(send({ seq: 4, productId, price: 6, stock: 6, occurredAtMs: 300 }), 'overtaken');
  t.end();
});

t.test('an event without a time of its own always counts, and no time goes back', (t) => {
  const memory = new MortalStore({ k0: 1, k1: 2 }, 1, 4096);
  const productId = 'p';
  const send = (event: PlainEvent) => {
    let result = '';
    memory.put(event.seq, event);
    memory.writes.run(Infinity, () => {
      result = memory.freshWriter().apply(event.seq, memory.slotOf(event.seq), event.seq * 10);
    });
    return result;
  };
  const isArrival = true;
  const none = undefined;
  // Five minutes ahead, as a client's clock may be.
  send({ seq: 1, productId, price: 1, stock: none, occurredAtMs: 400 });
  t.equal(send({ seq: 2, productId, price: 2, stock: 2, occurredAtMs: 100, isArrival }), 'applied');
  t.match(readProduct(memory.store, productId), {
    ...{ seq: 2, price: 2, priceAtMs: 400 },
    ...{ stock: 2, stockAtMs: 100 },
  });
  // A clock that went back: this arrival is earlier than the one before.
  t.equal(send({ seq: 3, productId, price: 3, stock: 3, occurredAtMs: 50, isArrival }), 'applied');
  t.match(readProduct(memory.store, productId), {
    ...{ seq: 3, price: 3, priceAtMs: 400 },
    ...{ stock: 3, stockAtMs: 100 },
  });
  t.equal(send({ seq: 4, productId, price: 4, stock: none, occurredAtMs: 399 }), 'stale');
  t.equal(send({ seq: 5, productId, price: 5, stock: none, occurredAtMs: 400 }), 'applied');
  const isDelete = true;
  const gone = { seq: 6, productId, price: none, stock: none, occurredAtMs: 60, isDelete };
  t.equal(send({ ...gone, isArrival }), 'applied', 'a delete without a time as well');
  t.ok(Number.isNaN((readProduct(memory.store, productId) as { price: number }).price));
  t.equal(send({ seq: 7, productId, price: 7, stock: 7, occurredAtMs: 399 }), 'applied');
  t.match(readProduct(memory.store, productId), { price: Number.NaN, stock: 7, stockAtMs: 399 });
  t.equal(send({ seq: 8, productId, price: 8, stock: 8, occurredAtMs: 401 }), 'applied');
  t.match(readProduct(memory.store, productId), { price: 8, stock: 8, stockAtMs: 401 });
  t.end();
});

t.test('what was never posted is missing, and so is what can not be an id', (t) => {
  const memory = new MortalStore({ k0: 1, k1: 2 }, 2, 4096);
  for (const id of ['', 'nobody', '\ud800', 'x'.repeat(65), '__proto__', 'a\0']) {
    t.equal(memory.store.read(id), 'missing', JSON.stringify(id));
  }
  t.end();
});
