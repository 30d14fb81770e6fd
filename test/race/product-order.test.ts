/**
 * Many producers, few products, the whole way through log and appliers; threads killed meanwhile in
 * the second run, cursors crossing the 32-bit wrap. All events have the same event time, so that
 * the order of their numbers alone decides.
 *
 * Allowed:   a product shows the state of any of its events, later ones as time goes on
 * Forbidden: a state with the price of one event and the seq of another · a product's seq that goes
 *            back · a producer's events numbered in another order than it sent them · a number
 *            given twice or never · in the end, another state than that of the product's last event
 */
import t from 'tap';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { Pipeline } from '../helpers/threads/pipeline.ts';
import { scaled } from '../helpers/threads/race-scale.ts';

const PRODUCERS = 64;
const PRODUCTS = 7;
const EVENTS_EACH = scaled(150, 4_000);
const KILL_EVERY = 400;
const DEATHS_MIN = scaled(6, 60);
const seed = testSeed();

for (const isKilled of [false, true]) {
  const how = isKilled ? 'with threads killed' : 'undisturbed';
  t.test(`${PRODUCERS * EVENTS_EACH} events or more, ${how} (seed ${seed})`, async (t) => {
    const random = new Random(seed);
    const dataDir = tempDir(t);
    const firstCursor = 2 ** 31 - Math.floor((PRODUCERS * EVENTS_EACH) / 2);
    const pipeline = await Pipeline.start(t, { dataDir, appliers: 3, firstCursor });
    /** Price of the event with a given number, and the highest number of each product. */
    const priceOf = new Map<number, number>();
    const lastOf = new Map<string, number>();
    const seenOf = new Map<string, number>();
    const faults: string[] = [];
    const kills: Promise<void>[] = [];
    let price = 0;

    const look = (productId: string) => {
      if (pipeline.path.store.read(productId) !== 'found') return;
      const { state } = pipeline.path.store;
      if (state.stock !== state.price * 2) faults.push(`${productId} is mixed`);
      if (state.seq < (seenOf.get(productId) ?? 0)) faults.push(`${productId} went back`);
      seenOf.set(productId, state.seq);
      const expected = priceOf.get(state.seq);
      if (expected !== undefined && expected !== state.price) {
        faults.push(`seq ${state.seq} has the price ${state.price}, not ${expected}`);
      }
    };
    let killAt = KILL_EVERY;
    let isOverIt = () => true;
    const kill = () => {
      // Only once they have got over the last one: five deaths in a row would be the end.
      if (priceOf.size < killAt || !isOverIt()) return;
      killAt = priceOf.size + KILL_EVERY;
      isOverIt = pipeline.mark();
      const thread = random.below(4);
      kills.push(thread === 3 ? pipeline.threads.killLog() : pipeline.threads.killApplier(thread));
    };
    const deaths = () => pipeline.logged.filter(({ msg }) => /died/.test(msg)).length;
    const produce = async () => {
      let lastSeq = 0;
      // A thread that is to be killed may not be there yet again.
      for (let n = 0; n < EVENTS_EACH || (isKilled && deaths() < DEATHS_MIN); n++) {
        const productId = `product ${random.below(PRODUCTS)}`;
        const mine = ++price;
        const event = { productId, price: mine, stock: mine * 2, occurredAtMs: 5 };
        const seq = await pipeline.send(event);
        if (seq <= lastSeq) faults.push(`seq ${seq} after ${lastSeq}`);
        if (priceOf.has(seq)) faults.push(`seq ${seq} was given twice`);
        lastSeq = seq;
        priceOf.set(seq, mine);
        lastOf.set(productId, Math.max(seq, lastOf.get(productId) ?? 0));
        look(productId);
        if (isKilled) kill();
      }
    };
    await Promise.all(Array.from({ length: PRODUCERS }, produce));
    await Promise.all(kills);
    t.equal(await pipeline.stop(), true, 'it closed cleanly');

    const total = price;
    t.same(faults.slice(0, 5), [], 'no forbidden outcome');
    t.equal(priceOf.size, total);
    t.equal(Math.max(...lastOf.values()), total, 'the numbers are 1 … the number of events');
    const check = (pipeline: Pipeline) => {
      for (const [productId, seq] of lastOf) {
        t.equal(pipeline.path.store.read(productId), 'found');
        t.equal(pipeline.path.store.state.seq, seq, `${productId} has the seq of its last event`);
        t.equal(pipeline.path.store.state.price, priceOf.get(seq));
      }
    };
    check(pipeline);
    t.equal(pipeline.path.appliers.deadCount, 0);
    t.same(pipeline.fatal, []);
    t.ok(isKilled ? deaths() >= DEATHS_MIN : deaths() === 0, `${deaths()} threads died`);

    const again = await Pipeline.start(t, { dataDir });
    check(again);
    t.equal(await again.stop(), true);
  });
}
