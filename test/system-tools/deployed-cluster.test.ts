/**
 * A cluster as deploy/compose describes it, run by real processes: clients come in through HAProxy only, while an
 * instance is killed, the NATS server that leads the stream is killed, all of them are, and an instance is stopped
 * in order. Odd ids, batches, the feed and keys come through; nothing acknowledged is lost or counts twice.
 * (Over 300 lines: one cluster goes through all of it.)
 */
import { existsSync } from 'node:fs';
import { Agent } from 'node:http';
import { gunzipSync, gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { type Ask, ask, json, type Reply } from '../helpers/clients/ask.ts';
import { ChangeFollower } from '../helpers/clients/change-follower.ts';
import { DeployedCluster } from '../helpers/replication/deployed-cluster.ts';

const isMissing = ['/usr/sbin/nats-server', '/usr/sbin/haproxy'].some((file) => !existsSync(file));
const skip = isMissing && process.env.CI !== 'true';
const WAIT_MS_MAX = 120_000;
const LANES = 3;
const BATCH_LINES = 5000;

t.setTimeout(900_000);

function parsed({ body }: Reply): Record<string, unknown> {
  return JSON.parse(`${body}`);
}

/** Whether it is an answer at which a client tries again, under the same key. */
const AGAIN = [502, 503, 504];

/** Its status, and its code where the service itself says it. */
function outcomeOf(answer: Reply): string {
  const isProblem = answer.headers['content-type'] === 'application/problem+json';
  return isProblem ? `${answer.status} ${parsed(answer).code}` : String(answer.status);
}

/** Asks until the answer is none at which a client tries again. */
function served(port: number, path: string, how: Ask): Promise<Reply> {
  const once = async () => {
    const reply = await ask(port, path, how);
    return AGAIN.includes(reply.status) ? undefined : reply;
  };
  return polled(once, WAIT_MS_MAX, `an answer to ${path}`);
}

interface Written {
  readonly seq: number;
  /** Value that no other event has. */
  readonly price: number;
}

/** Clients that write through the balancer, each event under a key, until it is acknowledged. */
class KeyedLanes {
  readonly written: Written[] = [];
  /** Answers by status, and errors by name. */
  readonly tally: Record<string, number> = {};
  readonly #cluster: DeployedCluster;
  readonly #lanes: Promise<void>[];
  #isOver = false;
  #isAbandoned = false;
  #price = 0;

  constructor(cluster: DeployedCluster) {
    this.#cluster = cluster;
    this.#lanes = Array.from({ length: LANES }, (_, lane) => this.#lane(`lane ${lane}`));
  }

  /** Until so many more are acknowledged. */
  async more(count: number): Promise<void> {
    const until = this.written.length + count;
    await polled(
      () => (this.written.length >= until ? true : undefined),
      WAIT_MS_MAX,
      'acknowledged writes',
    );
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#lanes);
  }

  /** For a test that failed: nobody answers any more. */
  async abandon(): Promise<void> {
    this.#isAbandoned = true;
    await this.stop();
  }

  async #lane(id: string): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!this.#isOver) {
      const price = ++this.#price;
      const seq = await this.#untilAcknowledged(id, price, agent);
      if (seq !== undefined) this.written.push({ seq, price });
    }
    agent.destroy();
  }

  async #untilAcknowledged(id: string, price: number, agent: Agent): Promise<number | undefined> {
    const { port, authorization } = this.#cluster;
    const event = json({ product_id: id, price, stock: price });
    const headers = { ...event.headers, ...authorization, 'idempotency-key': `key-${price}` };
    while (!this.#isAbandoned) {
      const answer = await ask(port, '/api/v1/events', { ...event, headers, agent }).catch(
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      );
      const outcome = typeof answer === 'string' ? answer : outcomeOf(answer);
      this.tally[outcome] = (this.tally[outcome] ?? 0) + 1;
      if (typeof answer !== 'string') {
        if (answer.status === 202) return Number(parsed(answer).seq);
        if (!AGAIN.includes(answer.status)) throw new Error(`${answer.status} ${answer.body}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return undefined;
  }
}

/** A client that reads one product after the other through the balancer; every answer but 200 is noted. */
class Reader {
  answered = 0;
  readonly faults: string[] = [];
  readonly #cluster: DeployedCluster;
  readonly #ended: Promise<void>;
  #isOver = false;

  constructor(cluster: DeployedCluster, id: string) {
    this.#cluster = cluster;
    this.#ended = this.#read(id);
  }

  async more(count: number): Promise<void> {
    const until = this.answered + count;
    await polled(() => (this.answered >= until ? true : undefined), WAIT_MS_MAX, 'reads');
  }

  async stop(): Promise<readonly string[]> {
    this.#isOver = true;
    await this.#ended;
    return this.faults;
  }

  async #read(id: string): Promise<void> {
    const { port, authorization: headers } = this.#cluster;
    while (!this.#isOver) {
      try {
        const { status } = await ask(port, `/api/v1/products/${id}`, { headers });
        if (status !== 200) this.faults.push(String(status));
      } catch (error) {
        this.faults.push(String(error));
      }
      this.answered++;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

async function isReady(port: number): Promise<true | undefined> {
  return (await ask(port, '/readyz')).status === 200 || undefined;
}

/** What is wrong with what the clients were told, by what every instance has. */
async function faultsOf(cluster: DeployedCluster, { written }: KeyedLanes): Promise<string[]> {
  const faults: string[] = [];
  const seqs = new Set(written.map(({ seq }) => seq));
  if (seqs.size !== written.length) faults.push('one seq for two events');
  const last = Math.max(...seqs);
  const ids = Array.from({ length: LANES }, (_, lane) => `lane ${lane}`);
  for (const [name, port] of cluster.ports) {
    for (const id of ids) {
      const path = `/api/v1/products/${encodeURIComponent(id)}?min_seq=${last}&wait=30s`;
      const reply = await served(port, path, { headers: cluster.authorization });
      const { price } = parsed(reply);
      const own = written.find((one) => one.price === price);
      const etag = reply.headers.etag;
      if (own === undefined) faults.push(`${name}: ${id} has ${price}, which nobody acknowledged`);
      else if (etag !== `"${own.seq}"`) faults.push(`${name}: ${id} ${etag}, told ${own.seq}`);
    }
  }
  return faults;
}

async function through(t: Test, cluster: DeployedCluster): Promise<void> {
  const { port, authorization } = cluster;
  const sent = (value: unknown) => {
    const { headers, ...rest } = json(value);
    return { ...rest, headers: { ...headers, ...authorization } };
  };
  const odd = { product_id: 'a/b c?%2F', price: 1.25, stock: 3 };
  const first = await served(port, '/api/v1/events?ack=applied', sent(odd));
  t.equal(first.status, 200);
  const path = `/api/v1/products/${encodeURIComponent(odd.product_id)}`;
  // Another instance may answer: what was written is there from its seq on.
  const minSeq = `min_seq=${parsed(first).seq}&wait=30s`;
  const read = await served(port, `${path}?${minSeq}`, { headers: authorization });
  t.match(parsed(read), { id: odd.product_id, price: 1.25 });

  const lines = Array.from({ length: BATCH_LINES }, (_, i) =>
    JSON.stringify({ product_id: `p${i}`, price: i, stock: i }),
  ).join('\n');
  const batch = await served(port, '/api/v1/events/batch?on_error=continue', {
    method: 'POST',
    headers: {
      ...authorization,
      'content-type': 'application/x-ndjson',
      'content-encoding': 'gzip',
    },
    body: gzipSync(lines),
  });
  t.match(parsed(batch), { accepted: BATCH_LINES });
  const last = `/api/v1/products/p1?min_seq=${parsed(batch).last_seq}&wait=30s`;
  for (const own of cluster.ports.values()) await served(own, last, { headers: authorization });
  const exported = await served(port, '/api/v1/products', {
    headers: { ...authorization, accept: 'application/x-ndjson', 'accept-encoding': 'gzip' },
  });
  t.equal(exported.headers['content-encoding'], 'gzip');
  t.equal(`${gunzipSync(exported.body)}`.trimEnd().split('\n').length, BATCH_LINES + 1);
  for (const inside of ['/metrics', '/debug/pprof/heap', '/status/stream']) {
    const { status, headers } = await ask(port, inside, { headers: authorization });
    t.equal(status, 404, inside);
    t.not(headers['content-type'], 'application/problem+json', 'the proxy itself says so');
  }
  t.equal((await ask(port, '/api/v1/products/p1')).status, 401, 'a token is needed');
}

t.test('a cluster behind HAProxy outlives each of its parts', { skip }, async (t) => {
  const cluster = await DeployedCluster.start(t);
  await t.test('what a client sends and gets is what it would be without', (t) =>
    through(t, cluster),
  );
  const { port, token } = cluster;
  const follower = new ChangeFollower({ port, token, lastEventId: 0 });
  let cuts = 0;
  let isFollowing = true;
  const followed = (async () => {
    while (isFollowing) {
      try {
        await follower.connect();
        await follower.until(() => false);
      } catch (error) {
        if (follower.fault !== undefined) throw error;
        cuts++;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  })();
  const lanes = new KeyedLanes(cluster);
  const reader = new Reader(cluster, 'p1');
  t.teardown(async () => {
    isFollowing = false;
    await Promise.all([lanes.abandon(), reader.stop()]);
  });
  await lanes.more(50);
  await polled(() => follower.seqs.size > 0 || undefined, WAIT_MS_MAX, 'the feed to be followed');

  await t.test('an instance killed: another gets the key, and it counts once', async (t) => {
    // Each of them, so that the one with the feed is among them.
    for (const [name, instance] of [...cluster.instances]) {
      await instance.crash();
      await lanes.more(50);
      await cluster.startInstance(name);
    }
    await polled(() => cuts > 0 || undefined, WAIT_MS_MAX, 'the feed to be cut');
    t.comment(lanes.tally);
  });
  await t.test('the leading NATS server killed: writes wait, reads do not', async (t) => {
    const leader = await cluster.leader();
    await leader.kill();
    await lanes.more(50);
    await leader.start();
    t.comment(lanes.tally);
  });
  await t.test('an instance stopped in order: no request breaks', async (t) => {
    // The server that was killed before is back in the cluster.
    for (const port of cluster.ports.values()) await polled(() => isReady(port), WAIT_MS_MAX, 'it');
    await lanes.more(50);
    const before = { ...lanes.tally };
    const [[name = '', instance] = []] = [...cluster.instances];
    t.strictSame(await instance?.stop(), { code: 0, signal: null });
    await lanes.more(50);
    for (const outcome of Object.keys(lanes.tally)) {
      // NATS has its own reasons: its servers may have elected again.
      if (outcome === '202' || outcome === '503 storage-unavailable') continue;
      t.equal(lanes.tally[outcome], before[outcome], outcome);
    }
    await cluster.startInstance(name);
  });
  await t.test('all NATS servers killed: reads go on, writes come back', async (t) => {
    const servers = [...cluster.nats.values()];
    await Promise.all(servers.map((server) => server.kill()));
    const before = reader.faults.length;
    await reader.more(300);
    t.equal(reader.faults.length, before, 'the balancer still has readers');
    await Promise.all(servers.map((server) => server.start()));
    await lanes.more(50);
  });
  await lanes.stop();
  t.strictSame(await reader.stop(), [], 'every read was answered, all the time');
  t.strictSame(await faultsOf(cluster, lanes), []);
  const last = Math.max(...lanes.written.map(({ seq }) => seq));
  await polled(() => (follower.lastEventId ?? 0) >= last || undefined, WAIT_MS_MAX, 'the feed');
  for (const { seq } of lanes.written) if (!follower.seqs.has(seq)) t.fail(`feed lacks ${seq}`);
  isFollowing = false;
  follower.disconnect();
  void followed;
  t.comment(`${lanes.written.length} acknowledged, the feed cut ${cuts} times`, lanes.tally);
});
