/**
 * The order of delivery does not matter: updates, partial updates and delists of one product, each
 * with its own event time, end in the same state in every order. Also the two cases that public
 * implementations got wrong.
 */
import t from 'tap';
import { MortalStore } from '../helpers/models/mortal-store.ts';
import type { PlainEvent } from '../helpers/models/plain-event.ts';
import { type ModelProduct, readProduct } from '../helpers/models/product-model.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

type Unnumbered = Omit<PlainEvent, 'seq' | 'productId'>;

const productId = 'p';

/** The state after `events` in this order; only what event time decides. */
function deliver(events: readonly Unnumbered[]): Partial<ModelProduct> {
  const memory = new MortalStore({ k0: 1, k1: 2 }, 1, 4096);
  for (const [i, event] of events.entries()) {
    const seq = i + 1;
    memory.put(seq, { ...event, seq, productId });
    memory.writes.run(Infinity, () => {
      memory.freshWriter().apply(seq, memory.slotOf(seq), 0);
    });
  }
  const found = readProduct(memory.store, productId);
  if (typeof found === 'string') throw new Error(found);
  const { price, stock, priceAtMs, stockAtMs } = found;
  return { price, stock, priceAtMs, stockAtMs };
}

function shuffled(random: Random, events: readonly Unnumbered[]): Unnumbered[] {
  const rest = [...events];
  return events.map(() => rest.splice(random.below(rest.length), 1)[0]);
}

const seed = testSeed();
t.test(`2,000 histories, each in ten orders (seed ${seed})`, (t) => {
  const random = new Random(seed);
  for (let n = 0; n < 2000; n++) {
    const events = Array.from({ length: 1 + random.below(7) }, (_, i): Unnumbered => {
      const kind = random.below(4);
      return {
        price: kind === 1 || kind === 3 ? undefined : random.below(100),
        stock: kind === 2 || kind === 3 ? undefined : random.below(100),
        // Different times: of equal ones the later seq wins, so for those order is the tie-break.
        occurredAtMs: i * 1000 + random.below(1000),
        ...(kind === 3 ? { isDelete: true } : {}),
      };
    });
    const expected = deliver(events);
    for (let order = 0; order < 10; order++) {
      const delivered = shuffled(random, events);
      const found = deliver(delivered);
      if (JSON.stringify(found) !== JSON.stringify(expected)) {
        t.same(found, expected, `history ${n}`, { delivered });
        t.end();
        return;
      }
    }
  }
  t.pass();
  t.end();
});

t.test('the stock of a later event before the price of an earlier one: neither is lost', (t) => {
  const stock: Unnumbered = { price: undefined, stock: 7, occurredAtMs: 2 };
  const price: Unnumbered = { price: 9.5, stock: undefined, occurredAtMs: 1 };
  const expected = { price: 9.5, stock: 7, priceAtMs: 1, stockAtMs: 2 };
  t.same(deliver([stock, price]), expected);
  t.same(deliver([price, stock]), expected);
  t.end();
});

t.test(
  'a delist is a value like any other: what is older stays away, what is newer returns',
  (t) => {
    const full: Unnumbered = { price: 1, stock: 1, occurredAtMs: 10 };
    const delist: Unnumbered = {
      price: undefined,
      stock: undefined,
      occurredAtMs: 20,
      isDelete: true,
    };
    const back: Unnumbered = { price: 3, stock: undefined, occurredAtMs: 30 };
    const gone = deliver([delist, full]);
    t.ok(
      Number.isNaN(gone.price) && Number.isNaN(gone.stock),
      'an older event does not bring it back',
    );
    t.same(deliver([full, delist, back]), deliver([back, delist, full]));
    const found = deliver([full, delist, back]);
    t.equal(found.price, 3);
    t.ok(Number.isNaN(found.stock), 'the stock from before the delist does not come back');
    t.end();
  },
);
