/**
 * Applier threads that die, in a real pool: at every operation another thread can see, on poisonous
 * events, while they start, while they skip a dead event. Nothing is lost, doubled or left odd.
 */
import t from 'tap';
import { Random, testSeed } from '../helpers/models/random.ts';
import {
  ARM_AFTER,
  ARM_OPS,
  OPS_LEFT,
  POISON,
  POISON_DEATHS,
  POISON_DEATHS_LEFT,
  START_DEATHS_LEFT,
  THROWS,
} from '../helpers/threads/applier-script.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import { ApplyWorld, type Sent } from './apply-world.ts';

const OPERATIONS = 48;
/** Every death costs a thread's start: a short run tries one operation of so many. */
const STRIDE = scaled(4, 1);
const seed = testSeed();
const random = new Random(seed);
const POISONED: Sent = { productId: 'x', price: POISON, stock: 2, occurredAtMs: 2, reserved: true };

function event(productId: string, n: number): Sent {
  // Values of which every word differs from those of the event before.
  return {
    productId,
    price: n * 1.1,
    stock: n * 2 ** 33 + n,
    occurredAtMs: n * 1.3,
    reserved: true,
  };
}

t.test(`a death before each operation that others can see (seed ${seed})`, async (t) => {
  // Just below the wrap of Int32, so that deaths fall on both sides of it.
  const world = new ApplyWorld(t, { firstCursor: 2 ** 31 - OPERATIONS });
  await world.send(event('known', 0));
  await world.caughtUp();
  for (let at = 1 + random.below(STRIDE); at <= OPERATIONS; at += STRIDE) {
    Atomics.store(world.script, OPS_LEFT, at);
    await world.send(event(`new ${at}`, at), event('known', at));
    await world.caughtUp();
    const wrong = world.difference();
    if (wrong !== '') t.fail(`death before operation ${at}: ${wrong}`);
  }
  Atomics.store(world.script, OPS_LEFT, 0);
  await world.finish();
  t.equal(world.difference(), '');
  t.equal(world.pool.deadCount, 0, 'no event is dead');
  t.ok(world.pool.restarts >= 28 / STRIDE, `${world.pool.restarts} deaths`);
});

for (const throws of [0, 1]) {
  t.test(`an event that kills its applier once (${throws ? 'throws' : 'exits'})`, async (t) => {
    const world = new ApplyWorld(t);
    Atomics.store(world.script, THROWS, throws);
    Atomics.store(world.script, POISON_DEATHS_LEFT, 1);
    await world.send(event('a', 1), event('x', 1), POISONED, event('b', 1));
    await world.caughtUp();
    await world.finish();
    t.equal(world.difference(), '', 'it was applied, and all others');
    t.equal(world.pool.restarts, 1);
    t.equal(world.pool.deadCount, 0);
  });

  t.test(`an event that kills it always (${throws ? 'throws' : 'exits'})`, async (t) => {
    const world = new ApplyWorld(t);
    Atomics.store(world.script, THROWS, throws);
    Atomics.store(world.script, POISON_DEATHS_LEFT, 1000);
    await world.send(event('a', 1), event('x', 1));
    const before = world.model.copy();
    await world.send(POISONED);
    world.model.products.clear();
    for (const [id, product] of before.products) world.model.products.set(id, product);
    await world.send(event('b', 1), event('a', 2));
    await world.caughtUp();
    t.equal(
      world.difference(),
      '',
      'it changed nothing, its reservation is back, the rest applies',
    );
    t.equal(world.pool.restarts, 2);
    t.equal(world.pool.deadCount, 1);
    const content = { seq: 3, productId: 'x', price: POISON, stock: 2, occurredAtMs: 2 };
    t.match(world.pool.deadEvents, [content]);
    const line = world.logged.find(({ msg }) => msg.startsWith('event dead'));
    t.match(line?.event, content, 'logged with its content');
    await world.send(event('x', 3));
    await world.finish();
    t.equal(world.difference(), '', 'a later event of the same product applies');
  });
}

t.test('a thread that dies at its start did not die of the event before', async (t) => {
  const world = new ApplyWorld(t);
  Atomics.store(world.script, POISON_DEATHS_LEFT, 1);
  Atomics.store(world.script, START_DEATHS_LEFT, 1);
  await world.send(event('a', 1), POISONED, event('b', 1));
  await world.caughtUp();
  t.equal(world.pool.deadCount, 0, 'the event was tried only once, so it is tried again');
  t.equal(world.pool.restarts, 2);
  await world.finish();
  t.equal(world.difference(), '');
});

t.test(`a death at each step of skipping a dead event (seed ${seed})`, async (t) => {
  for (let ops = 1 + random.below(STRIDE); ops <= 9; ops += STRIDE) {
    const world = new ApplyWorld(t);
    Atomics.store(world.script, POISON_DEATHS_LEFT, 1000);
    Atomics.store(world.script, ARM_AFTER, 2);
    Atomics.store(world.script, ARM_OPS, ops);
    await world.send(POISONED);
    world.model.products.clear();
    await world.send(event('b', 1));
    await world.finish();
    t.equal(world.difference(), '', `operation ${ops}`);
    t.equal(Atomics.load(world.script, POISON_DEATHS), 2, 'the event was not tried again');
    t.equal(world.pool.deadCount, 1, 'it is counted once');
    t.same(world.fatal, []);
    await world.pool.terminate();
  }
});

t.test('an applier that always dies at its start stops the service', async (t) => {
  const world = new ApplyWorld(t);
  Atomics.store(world.script, POISON_DEATHS, 1);
  Atomics.store(world.script, START_DEATHS_LEFT, 1000);
  await world.finish().catch(() => undefined);
  t.match(world.fatal, [/dies whenever it is started/]);
});
