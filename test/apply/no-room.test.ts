/**
 * An event that the admission has reserved nothing for and that finds no entry left: of a log that is
 * replayed it refuses the start, of another instance it ends as `dead`, and the rest goes on.
 */
import t from 'tap';
import { bounded } from '../helpers/bounded.ts';
import { ApplyWorld, type Sent } from './apply-world.ts';

const STORE_BYTES = 8192;
const WAIT_MS_MAX = 60_000;

const event = (productId: string, price: number): Sent => ({
  productId,
  price,
  stock: 1,
  occurredAtMs: price,
});

/** As many products as one shard has entries for. */
async function full(world: ApplyWorld): Promise<number> {
  const { entries } = world.shard(0);
  for (let n = 0; n < entries; n++) await world.send(event(`p${n}`, 1));
  await world.caughtUp();
  return entries;
}

t.test('it ends as dead, is logged, and the rest goes on', async (t) => {
  const world = new ApplyWorld(t, { shards: 1, storeBytes: STORE_BYTES });
  world.openLog();
  const room = await full(world);
  t.equal(world.store.size, room, 'all that the shard has are used');
  await world.send({ ...event('one more', 2), reserved: true }, event('p0', 3));
  await world.send(event('another', 2), event('p1', 4));
  await world.caughtUp();
  t.same(world.fatal, []);
  t.equal(world.pool.deadCount, 2);
  t.match(world.pool.deadEvents, [
    { productId: 'one more', seq: room + 1 },
    { productId: 'another', seq: room + 3 },
  ]);
  const lines = world.logged.filter(({ msg }) => msg.includes('no room for its product'));
  t.match(lines, [{ event: { productId: 'one more' } }, { event: { productId: 'another' } }]);
  t.equal(world.path.outcomes.outcomeOf(room + 3), 'dead');
  world.model.products.delete('one more');
  world.model.products.delete('another');
  await world.finish();
  t.equal(world.difference(), '', 'its reservation is back, all others are applied');
});

t.test('of a log that is replayed, it refuses the start', async (t) => {
  const world = new ApplyWorld(t, { shards: 1, storeBytes: STORE_BYTES });
  await full(world);
  await world.send(event('one more', 2));
  await bounded(world.failed, WAIT_MS_MAX, 'the refusal');
  t.match(world.fatal, [/^MAX_MEMORY_USAGE is too small/]);
  t.equal(world.pool.deadCount, 0);
});
