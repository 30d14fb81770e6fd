/**
 * Three NATS servers, three instances, and clients that write through any of them and retry by key until they
 * have their answer, while instances and servers are killed and stopped at any moment. Then: every event that
 * was acknowledged is in every instance's log, each key once, all logs equal.
 *
 * `ROUNDS=200 node test/system-tools/cluster-kills.test.ts` kills as often.
 */
import { existsSync } from 'node:fs';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { ClusterLoad } from '../helpers/replication/cluster-load.ts';
import {
  ClusterUnderTest,
  type InstanceUnderTest,
} from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const seed = testSeed();
const NAMES = ['a', 'b', 'c'] as const;
/** One instance is as good as another, however many threads serve HTTP in it. */
const HTTP_THREADS = { a: '2', b: '3', c: '1' } as const;
const KINDS = ['instance', 'server', 'stopped instance', 'stopped server', 'all servers'] as const;
const ROUNDS = Number(process.env.ROUNDS ?? KINDS.length);
const WAIT_MS_MAX = 120_000;

t.setTimeout(ROUNDS * 90_000 + 120_000);

t.test(
  `nothing acknowledged is lost in ${ROUNDS} rounds (seed ${seed})`,
  { skip: isMissing && process.env.CI !== 'true' },
  async (t) => {
    const random = new Random(seed);
    const nats = await startNats(t, 3);
    // A client hears that nothing comes of its try before it gives that up by itself.
    const patience = { STORAGE_TIMEOUT: '5s' };
    const cluster = await ClusterUnderTest.begin(t, nats.url, 3, patience);
    const instances = new Map<string, InstanceUnderTest>();
    const start = (name: (typeof NAMES)[number]) =>
      cluster.start(name, { HTTP_THREADS: HTTP_THREADS[name] });
    await Promise.all(NAMES.map(async (name) => void instances.set(name, await start(name))));
    const load = new ClusterLoad(() => [...instances.values()], random);
    t.teardown(() => load.abandon());
    load.start(6);

    /** Until so many more writes were acknowledged: the cluster works again. */
    const works = async (more: number) => {
      const until = load.acknowledged.size + more;
      await polled(
        () => (load.acknowledged.size >= until ? true : undefined),
        WAIT_MS_MAX,
        'writes to be acknowledged',
      );
    };
    for (let round = 0; round < ROUNDS; round++) {
      await works(20);
      const kind = KINDS[round % KINDS.length];
      const name = random.pick(NAMES);
      const instance = instances.get(name);
      const server = random.pick(nats.servers);
      if (instance === undefined) throw new Error(name);
      switch (kind) {
        case 'instance':
          await instance.kill();
          await works(5);
          instances.set(name, await start(name));
          break;
        case 'stopped instance':
          instance.process.kill('SIGSTOP');
          await works(5);
          instance.process.kill('SIGCONT');
          break;
        case 'server':
          await server.kill();
          await works(5);
          await server.start();
          break;
        case 'stopped server':
          server.pause();
          await works(5);
          server.goOn();
          break;
        case 'all servers':
          await Promise.all(nats.servers.map((one) => one.kill()));
          await Promise.all(nats.servers.map((one) => one.start()));
          break;
      }
    }
    await works(20);
    await load.stop();
    const last = Math.max(...[...load.acknowledged.values()].map(({ seq }) => seq));
    const hasAll = (one: InstanceUnderTest) =>
      cluster.polled(async () => (await one.get('none', last)).status === 404 || undefined);
    await Promise.all([...instances.values()].map(hasAll));
    await Promise.all([...instances.values()].map((one) => one.stop()));

    const logs = NAMES.map((name) => cluster.events(name));
    const shortest = Math.min(...logs.map(({ length }) => length));
    t.ok(shortest >= load.acknowledged.size, 'all is there');
    for (const [i, log] of logs.entries()) {
      const bytes = log.slice(0, shortest).map(({ text }) => text);
      t.equal(
        bytes.join('\n') ===
          logs[0]
            ?.slice(0, shortest)
            .map(({ text }) => text)
            .join('\n'),
        true,
        `log ${i} is equal`,
      );
      const prices = new Set(log.map(({ price }) => price));
      t.equal(prices.size, log.length, 'nothing twice');
      const lost = [...load.acknowledged].filter(
        ([price, { seq }]) => log[seq - 1]?.price !== price,
      );
      t.strictSame(lost, [], 'nothing lost');
    }
    t.comment(`${load.acknowledged.size} writes acknowledged, ${load.retries} retries`);
  },
);
