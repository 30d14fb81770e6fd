/** One instance of a cluster writes to its sinks; when it dies, another one goes on where it was. */
import { existsSync } from 'node:fs';
import t from 'tap';
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
    await isWhole(a, await write(a));
    await polled(() => (writers().length === 1 ? true : undefined), WAIT_MS_MAX, 'one writer');
    const [writer] = writers();
    const other = writer === a ? b : a;
    t.equal((await cluster.status()).sinks[name]?.pid, writer?.process.pid, 'status says who');
    // In the middle of a stream of writes.
    const running = write(other);
    await writer?.kill();
    await running;
    await isWhole(other, await write(other));
    t.ok(isWriter(other, name), 'it goes on');
    t.equal((await cluster.status()).sinks[name]?.pid, other.process.pid, 'status says it');
  });
}
