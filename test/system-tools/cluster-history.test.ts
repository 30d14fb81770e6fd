/**
 * One history in PostgreSQL for all instances of a cluster: one of them writes it, all answer from it, and when the
 * writer dies in the middle of a stream of writes, another one goes on, and nothing is missing.
 */
import { existsSync, rmSync } from 'node:fs';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import {
  ClusterUnderTest,
  type InstanceUnderTest,
} from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';
import { startPostgres } from '../helpers/servers/postgres-server.ts';

const skip = !existsSync('/usr/sbin/nats-server') && process.env.CI !== 'true';
const WAIT_MS_MAX = 120_000;

t.setTimeout(600_000);

/** What it said last of who writes. */
function stateOf({ process }: InstanceUnderTest): 'writes' | 'stands by' | undefined {
  const said = process.log.map(({ msg }) => String(msg));
  const last = said.findLast((msg) => /^history: (goes on behind|stands by)/.test(msg));
  if (last === undefined) return undefined;
  return last.startsWith('history: goes on') ? 'writes' : 'stands by';
}

t.test('one writes, all answer, and another one goes on', { skip }, async (t) => {
  const [nats, server] = await Promise.all([startNats(t), startPostgres(t)]);
  const cluster = await ClusterUnderTest.begin(t, nats.url, 1, {
    ...{ SINKS: `${server.url}?schema=feed`, BATCH_FLUSH_INTERVAL: '10ms' },
    ...{ HISTORY: 'forever', HISTORY_IN: 'postgres' },
  });
  const instances = new Map<string, InstanceUnderTest>();
  const start = async (name: string) => {
    const instance = await cluster.start(name);
    instances.set(name, instance);
    return instance;
  };
  const inState = (state: string) => [...instances].filter(([, one]) => stateOf(one) === state);
  const settled = () =>
    polled(
      () => (inState('writes').length === 1 && inState('stands by').length === 1) || undefined,
      WAIT_MS_MAX,
      'one to write and one to stand by',
    );
  const writes = (one: InstanceUnderTest) =>
    polled(() => stateOf(one) === 'writes' || undefined, WAIT_MS_MAX, 'it to say that it writes');
  let price = 0;
  let last = 0;
  /** Prices of the product, one after the other, each acknowledged. */
  const write = async (through: InstanceUnderTest, count: number) => {
    for (let i = 0; i < count; i++) {
      const event = { product_id: 'p', price: ++price, stock: 1 };
      last = await cluster.posted(through, event);
    }
  };
  /** All of it, as each instance tells it. */
  const check = async () => {
    for (const [name, instance] of instances) {
      const path = `/api/v1/products/p/history?field=price&limit=1000&min_seq=${last}&wait=30s`;
      const body = await polled(
        async () => {
          const answer = await instance.read(path);
          return answer.status === 200 ? answer.body : undefined;
        },
        WAIT_MS_MAX,
        `${name} to tell all of it`,
      );
      const { entries, whole_from } = body as {
        readonly entries: readonly { readonly value: number }[];
        readonly whole_from: string | null;
      };
      t.equal(whole_from, null, 'nothing may be missing');
      t.strictSame(
        entries.map(({ value }) => value),
        Array.from({ length: price }, (_, i) => i + 1),
        name,
      );
      const prior = await instance.read('/api/v1/products/p/prior-price');
      t.match(prior, { status: 200, body: { price, complete: true } }, name);
    }
  };

  const [a, b] = await Promise.all([start('a'), start('b')]);
  await settled();
  await write(a, 20);
  await write(b, 20);
  await check();
  const states = async () => {
    const found = await Promise.all(
      [a, b].map(async (one) => {
        const { checks } = (await one.read('/readyz?verbose')).body as {
          readonly checks: readonly { readonly name: string; readonly state: string }[];
        };
        return checks.find(({ name }) => name === 'history')?.state;
      }),
    );
    return found.toSorted().join() === 'following,standby' || undefined;
  };
  await polled(states, WAIT_MS_MAX, 'the checks to say who writes');

  // In the middle of writes through the other one.
  const [[writer = '', dying] = []] = inState('writes');
  const [[, other] = []] = inState('stands by');
  if (dying === undefined || other === undefined) throw new Error('two');
  const writing = write(other, 60);
  await dying.kill();
  instances.delete(writer);
  await writing;
  await check();
  await writes(other);
  await start(writer);
  await settled();
  await write(other, 5);
  await check();

  // A stop is the other way to give it up.
  const [[stopping = '', leaving] = []] = inState('writes');
  await leaving?.stop();
  instances.delete(stopping);
  const [[, next] = []] = instances;
  if (next === undefined) throw new Error('one');
  await write(next, 5);
  await check();
  await writes(next);

  // A new generation of the cluster goes on with the history of the one before.
  const [[knowing = ''] = []] = instances;
  await next.stop();
  instances.clear();
  const begun = cluster.shell(knowing, 'product-service cluster init --from data --replicas 1');
  t.match(begun, /generation 2 begins/);
  rmSync(cluster.dataOf(stopping), { recursive: true });
  const [first] = await Promise.all([start(knowing), start(stopping)]);
  await settled();
  await write(first, 5);
  await check();
});
