/**
 * One stream, and replicas that differ in whatever must not matter: WORKERS, HTTP_THREADS, when they began to follow,
 * how often they were killed or stopped, where their checkpoints and segments lie, whether they write. Then all of it is equal: the
 * log byte for byte, the chain, the places of products in the store (pages), what became of each event, and
 * which keys are known.
 */
import { existsSync } from 'node:fs';
import t from 'tap';
import { Random, testSeed } from '../helpers/models/random.ts';
import {
  ClusterUnderTest,
  type InstanceUnderTest,
} from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const seed = testSeed();
/** Small: keys of the first events are forgotten before the end. */
const DEDUPE_WINDOW = '1000';
const SETTINGS = {
  a: { WORKERS: '1', HTTP_THREADS: '3' },
  b: { WORKERS: '2', HTTP_THREADS: '2', SEGMENT_SIZE: '1MB' },
  c: { WORKERS: '3', HTTP_THREADS: '2', SEGMENT_SIZE: '2MB', ROLE: 'reader' },
  d: { WORKERS: '2', HTTP_THREADS: '1', HTTP_MAX_CONNECTIONS: '200' },
} as const;
const PRODUCTS = 300;

t.setTimeout(900_000);

t.test(
  `all replicas of one stream are equal (seed ${seed})`,
  { skip: isMissing && process.env.CI !== 'true' },
  async (t) => {
    const random = new Random(seed);
    const nats = await startNats(t);
    const cluster = await ClusterUnderTest.begin(t, nats.url, 1, { DEDUPE_WINDOW });
    const running = new Map<string, InstanceUnderTest>();
    const start = async (name: keyof typeof SETTINGS) => {
      const instance = await cluster.start(name, SETTINGS[name], '?for=reads');
      running.set(name, instance);
      return instance;
    };
    const writers = [await start('a'), await start('b')];
    await start('c');
    let price = 0;
    let last = 0;
    const write = async (count: number) => {
      for (let i = 0; i < count; i += 4) {
        const answers = await Promise.all(
          Array.from({ length: 4 }, () => {
            const id = `p${random.below(PRODUCTS)}`;
            const headers = {
              ...(random.chance(0.5) ? { 'idempotency-key': `k${random.below(400)}` } : {}),
              ...(random.chance(0.2) ? { 'if-match': `"${random.below(last + 1) || 1}"` } : {}),
            };
            const event = { product_id: id, price: ++price % 50, stock: random.below(9) };
            return random.pick(writers).post(event, headers);
          }),
        );
        for (const { body } of answers)
          if (typeof body.seq === 'number') last = Math.max(last, body.seq);
      }
    };
    const batch = async () => {
      const lines = Array.from({ length: 600 }, () => ({
        ...{ product_id: `b${random.below(800)}`, price: ++price, stock: 1 },
      }));
      await random.pick(writers).batch(lines, { 'idempotency-key': `batch-${price}` });
    };
    await write(200);
    await batch();
    await running.get('c')?.kill();
    await start('c');
    await write(100);
    // A stop takes a checkpoint: it goes on from there, and not from the log.
    await running.get('b')?.stop();
    writers[1] = await start('b');
    await cluster.polled(async () =>
      (await writers[1]?.ready())?.status === 200 ? true : undefined,
    );
    await batch();
    await write(100);
    await running.get('c')?.kill();
    // From the beginning, all at once.
    await Promise.all([start('c'), start('d')]);
    await write(40);
    last = await cluster.posted(writers[0] as InstanceUnderTest, {
      ...{ product_id: 'end', price: 1, stock: 1 },
    });

    const found = await Promise.all(
      [...running].map(async ([name, instance]) => {
        t.match(await instance.get('end', last), { status: 200 }, name);
        return { name, store: await instance.pages(), outcomes: await instance.outcomes(last) };
      }),
    );
    const [first] = found;
    t.ok((first?.store.length ?? 0) > PRODUCTS, 'products were made');
    t.ok(
      first?.outcomes.some(([, outcome]) => outcome === 'refused'),
      'conditions failed',
    );
    for (const { name, store, outcomes } of found) {
      t.strictSame(store, first?.store, `${name}: the same products in the same places`);
      t.strictSame(outcomes, first?.outcomes, `${name}: the same outcomes`);
    }
    // Each replica judges each key by its own window: a window that differs makes another log.
    const probe = { product_id: 'other', price: 1, stock: 1 };
    const answered = { known: 0, new: 0 };
    for (let i = 0; i < 400; i++) {
      const { status } = await (writers[0] as InstanceUnderTest).post(probe, {
        'idempotency-key': `k${i}`,
      });
      answered[status === 202 ? 'new' : 'known']++;
    }
    t.ok(answered.known > 0 && answered.new > 0, 'some keys were forgotten');
    last = await cluster.posted(writers[0] as InstanceUnderTest, {
      ...{ product_id: 'end', price: 2, stock: 1 },
    });
    for (const instance of running.values()) await instance.get('end', last);
    const { instances } = await cluster.agreed(running.size);
    t.equal(instances.length, running.size, 'one chain');
    await Promise.all([...running.values()].map((one) => one.stop()));
    const logs = [...running.keys()].map((name) => cluster.events(name));
    for (const log of logs) t.strictSame(log.slice(0, last), logs[0]?.slice(0, last), 'equal logs');
  },
);
