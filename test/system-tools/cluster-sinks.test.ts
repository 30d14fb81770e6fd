/**
 * One instance of a cluster writes to its sinks; when it dies, another one goes on where it was. A new generation goes
 * on too, unless the sink has more than the data with which that was begun.
 */
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import {
  ClusterUnderTest,
  type InstanceUnderTest,
} from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';
import { TARGETS } from '../helpers/sinks/sink-targets.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const skip = isMissing && process.env.CI !== 'true';
const WAIT_MS_MAX = 180_000;
const PRODUCTS = 300;

t.setTimeout(900_000);

/** The instance whose sink was opened last: it has the lock. */
function isWriter(instance: InstanceUnderTest, name: string): boolean {
  const said = instance.process.log.map(({ msg }) => msg);
  const own = said.filter((msg) => msg.startsWith(`sink ${name}:`)).at(-1) ?? '';
  return own.includes('goes on behind');
}

for (const name of ['postgres', 'redis']) {
  t.test(`${name}: another one goes on`, { skip }, async (t) => {
    const make = TARGETS[name];
    if (make === undefined) throw new Error(name);
    const target = await make(t);
    const nats = await startNats(t);
    const cluster = await ClusterUnderTest.begin(t, nats.url, 1, {
      ...{ SINKS: target.sink, BATCH_FLUSH_INTERVAL: '10ms' },
    });
    const instances = [await cluster.start('a'), await cluster.start('b')];
    const [a, b] = instances as [InstanceUnderTest, InstanceUnderTest];
    t.teardown(() => {
      if (!t.passing()) for (const line of a.process.log.slice(-8)) t.comment(JSON.stringify(line));
    });
    let price = 0;
    const write = async (instance: InstanceUnderTest) => {
      const lines = Array.from({ length: PRODUCTS }, (_, i) => ({
        ...{ product_id: `p${i}`, price: ++price, stock: 1 },
      }));
      for (;;) {
        const { status, body } = await instance.batch(lines, { 'idempotency-key': `b${price}` });
        if (status === 202) return Number(body.last_seq);
        await new Promise(setImmediate);
      }
    };
    /** Until the sink has all up to `seq`, as the instance has it. */
    const isWhole = async (instance: InstanceUnderTest, seq: number) => {
      await polled(
        async () => ((await target.position().catch(() => -1)) >= seq ? true : undefined),
        WAIT_MS_MAX,
        'the sink to have all',
      );
      await instance.get('p0', seq);
      const rows = new Map((await target.rows()).map((row) => [row.id, row]));
      t.equal(rows.size, PRODUCTS);
      for (const { id, price: own, stock } of await instance.products()) {
        t.match(rows.get(id), { price: own, stock }, id);
      }
    };
    const writers = () => instances.filter((one) => isWriter(one, name));
    const statusSays = ({ process }: InstanceUnderTest) =>
      polled(
        async () => (await cluster.status()).sinks[name]?.pid === process.pid || undefined,
        WAIT_MS_MAX,
        'the status to say who writes',
      );
    await isWhole(a, await write(a));
    await polled(() => (writers().length === 1 ? true : undefined), WAIT_MS_MAX, 'one writer');
    const [writer] = writers();
    const other = writer === a ? b : a;
    if (writer === undefined) throw new Error('one');
    await statusSays(writer);
    // In the middle of a stream of writes.
    const running = write(other);
    await writer.kill();
    await running;
    await isWhole(other, await write(other));
    await polled(
      () => isWriter(other, name) || undefined,
      WAIT_MS_MAX,
      'it to say that it goes on',
    );
    await statusSays(other);
  });
}

const BEGIN = 'product-service cluster init --from ./data';

/** A cluster of one with a sink, and that instance. */
async function clusterOfOne(t: Test) {
  const target = await TARGETS.sqlite?.(t);
  if (target === undefined) throw new Error('sqlite');
  const nats = await startNats(t);
  const cluster = await ClusterUnderTest.begin(t, nats.url, 1, {
    ...{ SINKS: target.sink, BATCH_FLUSH_INTERVAL: '10ms' },
  });
  const instance = await cluster.start('a');
  /** Writes a product of this price; the sink has it then. */
  const write = async (to: InstanceUnderTest, price: number) => {
    const seq = await cluster.posted(to, { product_id: `p${price}`, price, stock: 1 });
    await polled(
      async () => ((await target.position().catch(() => -1)) >= seq ? true : undefined),
      WAIT_MS_MAX,
      `the sink to have ${seq}`,
    );
  };
  return { target, cluster, instance, write };
}

t.test('a sink goes on in a generation that has all of it', { skip }, async (t) => {
  const { target, cluster, instance, write } = await clusterOfOne(t);
  await write(instance, 1);
  await instance.stop();
  t.match(cluster.shell('a', BEGIN), /generation 2 begins behind seq 1/);
  await write(await cluster.start('a'), 2);
  t.equal((await target.rows()).length, 2);
});

t.test('a sink that has more than a generation began with is left alone', { skip }, async (t) => {
  const { target, cluster, instance, write } = await clusterOfOne(t);
  await write(instance, 1);
  await instance.stop();
  mkdirSync(dirname(cluster.dataOf('old')));
  cpSync(cluster.dataOf('a'), cluster.dataOf('old'), { recursive: true });
  const again = await cluster.start('a');
  await write(again, 2);
  await again.stop();
  const rows = await target.rows();
  t.match(cluster.shell('old', BEGIN), /generation 2 begins behind seq 1/);
  const other = await cluster.start('old');
  for (const price of [3, 4, 5]) {
    await cluster.posted(other, { product_id: `p${price}`, price, stock: 1 });
  }
  await polled(
    () => (other.process.log.some(({ msg }) => /another data folder/.test(msg)) ? true : undefined),
    WAIT_MS_MAX,
    'the sink to be told foreign',
  );
  await other.stop();
  t.strictSame(await target.rows(), rows);
});
