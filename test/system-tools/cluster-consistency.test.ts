/**
 * Three NATS servers, three instances, and clients that write and read through any of them and note what they are told,
 * while instances and servers are killed and stopped, all servers at once, and the way from an instance to NATS is slow,
 * stands still or is cut. Then: what was read could have been (test/helpers/consistency/client-history.ts).
 *
 * `ROUNDS=60 node test/system-tools/cluster-consistency.test.ts` disturbs as often.
 */
import { existsSync } from 'node:fs';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ChangeFollower } from '../helpers/clients/change-follower.ts';
import { faultsOf } from '../helpers/consistency/client-history.ts';
import { RecordingClients } from '../helpers/consistency/recording-clients.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import {
  ClusterUnderTest,
  type InstanceUnderTest,
} from '../helpers/replication/cluster-under-test.ts';
import { type NatsServers, startNats } from '../helpers/servers/nats-server.ts';
import { ServerLink } from '../helpers/servers/server-link.ts';

const skip = !existsSync('/usr/sbin/nats-server') && process.env.CI !== 'true';
const seed = testSeed();
const NAMES = ['a', 'b', 'c'] as const;
const KINDS = [
  'instance killed',
  'link cut',
  'server killed',
  'link slow',
  'instance stopped',
  'link still',
  'server stopped',
  'all servers killed',
] as const;
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const CLIENTS = 8;
const WAIT_MS_MAX = 120_000;
const SLOW_MS = 100;
/** A client hears that nothing comes of its try before it gives that up by itself. */
const PATIENCE = { STORAGE_TIMEOUT: '5s' };
/** A follower through an instance whose way to NATS is cut. */
const FOLLOWED_MS_MAX = 60_000;

t.setTimeout(ROUNDS * 90_000 + 120_000);

class Disturbed {
  readonly instances = new Map<string, InstanceUnderTest>();
  readonly links = new Map<string, ServerLink>();
  readonly nats: NatsServers;
  readonly #cluster: ClusterUnderTest;

  private constructor(nats: NatsServers, cluster: ClusterUnderTest) {
    this.nats = nats;
    this.#cluster = cluster;
  }

  static async start(t: Test): Promise<Disturbed> {
    const nats = await startNats(t, 3, undefined, true);
    const cluster = await ClusterUnderTest.begin(t, nats.url, 3, PATIENCE);
    const disturbed = new Disturbed(nats, cluster);
    for (const name of NAMES) disturbed.links.set(name, await ServerLink.start(t, nats.url));
    await Promise.all(NAMES.map((name) => disturbed.startInstance(name)));
    return disturbed;
  }

  async startInstance(name: string): Promise<void> {
    const { url } = this.link(name);
    this.instances.set(name, await this.#cluster.start(name, { NATS_URL: url }));
  }

  instance(name: string): InstanceUnderTest {
    const instance = this.instances.get(name);
    if (instance === undefined) throw new Error(name);
    return instance;
  }

  link(name: string): ServerLink {
    const link = this.links.get(name);
    if (link === undefined) throw new Error(name);
    return link;
  }

  /** Breaks something, lets the rest work on, and mends it. */
  async disturb(kind: (typeof KINDS)[number], random: Random, works: () => Promise<void>) {
    const name = random.pick(NAMES);
    const server = random.pick(this.nats.servers);
    switch (kind) {
      case 'instance killed':
        await this.instance(name).kill();
        await works();
        return this.startInstance(name);
      case 'instance stopped':
        this.instance(name).process.kill('SIGSTOP');
        await works();
        this.instance(name).process.kill('SIGCONT');
        return;
      case 'server killed':
        await server.kill();
        await works();
        return server.start();
      case 'server stopped':
        server.pause();
        await works();
        return server.goOn();
      case 'all servers killed':
        await Promise.all(this.nats.servers.map((one) => one.kill()));
        await Promise.all(this.nats.servers.map((one) => one.start()));
        return works();
      case 'link cut':
        this.link(name).cut();
        break;
      case 'link slow':
        this.link(name).delay(SLOW_MS);
        break;
      case 'link still':
        this.link(name).stand();
        break;
    }
    await works();
    this.link(name).heal();
  }
}

t.test(`what was read could have been, ${ROUNDS} rounds (seed ${seed})`, { skip }, async (t) => {
  const random = new Random(seed);
  const disturbed = await Disturbed.start(t);
  const clients = new RecordingClients(disturbed.instances, random);
  t.teardown(() => clients.stop());
  clients.start(CLIENTS);
  const works = async () => {
    const until = clients.acknowledged + 40;
    await polled(
      () => (clients.acknowledged >= until ? true : undefined),
      WAIT_MS_MAX,
      'writes to be acknowledged',
    );
  };
  const first = random.below(KINDS.length);
  for (let round = 0; round < ROUNDS; round++) {
    await works();
    await disturbed.disturb(KINDS[(first + round) % KINDS.length] ?? 'link cut', random, works);
  }
  await works();
  await clients.stop();
  const history = await clients.history();
  t.strictSame(faultsOf(history), []);
  const open = history.writes.filter(({ seqs }) => seqs.length === 0).length;
  const read = history.reads.length;
  t.comment(`${clients.acknowledged} acknowledged, ${open} left open, ${read} reads`);
});

t.test('a follower of changes who moves to an instance that is behind', { skip }, async (t) => {
  const disturbed = await Disturbed.start(t);
  const [a, b] = [disturbed.instance('a'), disturbed.instance('b')];
  /** Until it is acknowledged, under one key: whoever leads the servers may be elected just now. */
  const posted = async (price: number) => {
    const key = { 'idempotency-key': `key-${price}` };
    const ask = async () => {
      const { status, body } = await a.post({ product_id: 'p', price, stock: 1 }, key);
      return status === 202 ? Number(body.seq) : undefined;
    };
    return polled(ask, WAIT_MS_MAX, 'a write to be acknowledged');
  };
  t.match(await b.get('p', await posted(1)), { status: 200, body: { price: 1 } });
  disturbed.link('b').cut();
  let lastEventId = 0;
  for (let price = 2; price < 6; price++) lastEventId = await posted(price);
  t.match(await b.get('p'), { body: { price: 1 } }, 'b is behind');
  const follower = new ChangeFollower({ port: b.port, lastEventId });
  t.teardown(() => follower.disconnect());
  await follower.connect();
  disturbed.link('b').heal();
  const seq = await posted(9);
  await polled(() => follower.seqs.has(seq) || undefined, FOLLOWED_MS_MAX, 'the change');
  t.strictSame([...follower.seqs], [seq], 'what it knew is not told again');
  t.strictSame(follower.events, [], 'and there was no reset');
});
