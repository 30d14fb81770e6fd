/** Events of a batch are charged as they are read; a stream that owes is read on when it has paid. */
import t from 'tap';
import { MeteredSource } from '../../src/http/requests/metered-source.ts';
import { RATE_TABLE_BYTES, RateTable } from '../../src/limits/rate-table.ts';
import { polled } from '../helpers/bounded.ts';

const WAIT_MS_MAX = 60_000;
const KEY = { hash: 1, tag: 2 };

function meteredWorld(isStream: boolean, patienceMs = 60_000) {
  const world = { nowNs: 1e15, events: 0, isOver: false, hasFailed: false, reads: 0, looks: 0 };
  const table = new RateTable(
    { quota: 100, windowSeconds: 1 },
    new SharedArrayBuffer(RATE_TABLE_BYTES),
    () => world.nowNs,
  );
  table.take(KEY); // as the request was let in
  const metered = new MeteredSource({
    source: {
      next: async () => {
        world.reads++;
        return new Uint8Array(1);
      },
      pause: async () => {
        await new Promise(setImmediate);
        return !world.hasFailed;
      },
    },
    meter: { table, key: KEY },
    isStream,
    patienceMs,
    events: () => world.events,
    isOver: () => {
      world.looks++;
      return world.isOver;
    },
  });
  return { world, table, metered };
}

t.test('a stream reads on when it owes nothing any more', async (t) => {
  const { world, metered } = meteredWorld(true);
  await metered.next();
  world.events = 300;
  let isRead = false;
  const reading = metered.next().then(() => {
    isRead = true;
  });
  const looksTo = (times: number) =>
    polled(async () => (world.looks >= times ? true : undefined), WAIT_MS_MAX, 'it to look again');
  await looksTo(5);
  t.equal(world.reads, 1);
  t.notOk(isRead);
  world.nowNs += 2e9;
  await looksTo(world.looks + 2);
  t.equal(world.reads, 1, 'it owes one still');
  world.nowNs += 0.01e9;
  await reading;
  t.equal(world.reads, 2);
});

t.test('it ends when it owes more than its client is expected to wait', async (t) => {
  const { world, metered } = meteredWorld(true, 5000);
  await metered.next();
  world.events = 1000;
  await t.rejects(metered.next(), { code: 'rate-limited', retryAfterSeconds: 10 });
  t.equal(world.reads, 1);
});

t.test('it waits no more when nobody waits for it', async (t) => {
  const { world, metered } = meteredWorld(true);
  await metered.next();
  world.events = 300;
  const reading = metered.next();
  world.isOver = true;
  await reading;
  t.equal(world.reads, 2);
});

t.test('it waits no more when nothing more will come', async (t) => {
  const { world, metered } = meteredWorld(true);
  await metered.next();
  world.events = 300;
  world.hasFailed = true;
  await metered.next();
  t.equal(world.reads, 2, 'which is the source’s to say');
});

t.test('a batch that is taken whole is read at once, and charged', async (t) => {
  const { world, metered, table } = meteredWorld(false);
  await metered.next();
  world.events = 1000;
  await metered.next();
  t.equal(world.reads, 2);
  t.notOk(table.has(KEY));
  t.equal(table.secondsToOne, 10);
  world.events = 1100;
  metered.settle();
  t.notOk(table.has(KEY));
  t.equal(table.secondsToOne, 11, 'what it read last, too');
});
