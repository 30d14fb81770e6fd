/** Three instances over one NATS server, as a user runs them. */
import { existsSync } from 'node:fs';
import t from 'tap';
import {
  ClusterUnderTest,
  type InstanceUnderTest,
} from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const skip = isMissing && process.env.CI !== 'true';

/** Far less than anybody waits for NATS. */
const READ_MS_MAX = 1500;
/** So long all of them have gone on without NATS: what asks it now and then does, too. */
const AWAY_MS = 2500;
/** A machine that stands still makes a read slow, too, but not so often one after the other. */
const TRIES = 5;

/** Whether the instance answers it at once. */
async function isAtOnce({ port }: InstanceUnderTest, path: string): Promise<boolean> {
  for (let tries = 0; tries < TRIES; tries++) {
    const signal = AbortSignal.timeout(READ_MS_MAX);
    const isAnswered = await fetch(`http://127.0.0.1:${port}${path}`, { signal })
      .then(async (answer) => answer.ok && (await answer.text()).length > 0)
      .catch(() => false);
    if (isAnswered) return true;
  }
  return false;
}

/** The reads that were not answered at once, again and again, by the instance. */
async function waiting(instance: InstanceUnderTest, reads: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  const untilMs = performance.now() + AWAY_MS;
  do {
    for (const path of reads) if (!(await isAtOnce(instance, path))) found.add(path);
    await new Promise((resolve) => setTimeout(resolve, 100));
  } while (performance.now() < untilMs);
  return [...found];
}

t.test('instances share one truth', { skip }, async (t) => {
  const nats = await startNats(t);
  const cluster = await ClusterUnderTest.begin(t, nats.url, 1);
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => cluster.start(name)));
  if (a === undefined || b === undefined || c === undefined) throw new Error('three');

  const first = await a.post({ product_id: 'p', price: 1, stock: 2 });
  t.match(first, { status: 202, body: { status: 'durable', seq: 1 } });
  for (const instance of [a, b, c]) {
    t.match(await instance.get('p', 1), { status: 200, body: { price: 1, stock: 2 } });
  }
  const keyed = { product_id: 'q', price: 3, stock: 4 };
  const once = await b.post(keyed, { 'idempotency-key': 'k1' });
  const again = await c.post(keyed, { 'idempotency-key': 'k1' });
  t.equal(once.body.seq, again.body.seq, 'the key is known to whoever gets the retry');
  t.equal(again.headers.get('idempotency-replayed'), 'true');

  // Both change the version that they have seen; one of them wins, everywhere the same one.
  const seq = String(once.body.seq);
  const wins = await Promise.all([
    a.post({ product_id: 'q', price: 10, stock: 1 }, { 'if-match': `"${seq}"` }, '?ack=applied'),
    b.post({ product_id: 'q', price: 20, stock: 1 }, { 'if-match': `"${seq}"` }, '?ack=applied'),
  ]);
  t.strictSame(wins.map(({ status }) => status).sort(), [200, 412]);
  const last = Number(wins.find(({ status }) => status === 200)?.body.seq);
  const prices = await Promise.all([a, b, c].map((one) => one.get('q', last + 1)));
  t.equal(new Set(prices.map(({ body }) => body.price)).size, 1);

  // A batch through one of them is read through another.
  const lines = Array.from({ length: 5000 }, (_, i) => ({
    ...{ product_id: `bulk-${i}`, price: i, stock: 1 },
  }));
  const batch = await c.batch(lines, { 'idempotency-key': 'batch' });
  t.match(batch, { status: 202, body: { accepted: 5000 } });
  const bulkSeq = Number(batch.body.last_seq);
  t.match(await a.get('bulk-4999', bulkSeq), { status: 200, body: { price: 4999 } });
  const repeated = await a.batch(lines, { 'idempotency-key': 'batch' });
  t.match(repeated, { body: { duplicates: 5000 } }, 'and known there');

  // One is killed; its memory comes back from its folder and the stream.
  await b.kill();
  const missed = await a.post({ product_id: 'p', price: 5, stock: 5 });
  const back = await cluster.start('b');
  t.match(await back.get('p', Number(missed.body.seq)), { body: { price: 5 } });
  t.match(await back.post(keyed, { 'idempotency-key': 'k1' }), { body: { seq: Number(seq) } });

  // NATS stands still, connections open: no read waits for it (I10). One that has to is found out by the same look.
  nats.servers[0]?.pause();
  const seqNow = Number(missed.body.seq);
  const asks = [
    'products/p',
    `products/p?min_seq=${seqNow}`,
    'products?limit=100',
    'products?id=p',
    `events/${seqNow}`,
  ];
  const reads = [...asks.map((path) => `/api/v1/${path}`), '/readyz?for=reads'];
  for (const instance of [a, back, c]) t.strictSame(await waiting(instance, reads), []);
  const waits = `/api/v1/products/p?min_seq=${seqNow + 1}&wait=30s`;
  t.strictSame(await waiting(a, [waits]), [waits]);
  nats.servers[0]?.goOn();

  // NATS away: reads go on, writes are refused, and it comes back by itself.
  await nats.servers[0]?.kill();
  await cluster.polled(async () => ((await a.ready()).status === 503 ? true : undefined));
  t.equal((await a.post({ product_id: 'r', price: 1, stock: 1 })).status, 503);
  t.match(await a.get('p'), { status: 200, body: { price: 5 } });
  await nats.servers[0]?.start();
  await cluster.polled(async () =>
    (await c.post({ product_id: 'r', price: 7, stock: 1 })).status === 202 ? true : undefined,
  );
});

t.test('a new instance joins from a backup, and a foreign stream is found', { skip }, async (t) => {
  const nats = await startNats(t);
  const [server] = nats.servers;
  if (server === undefined) throw new Error('one');
  const cluster = await ClusterUnderTest.begin(t, nats.url, 1);
  const a = await cluster.start('a');
  const key = { 'idempotency-key': 'first' };
  const first = await a.post({ product_id: 'p', price: 1, stock: 1 }, key);
  for (let price = 2; price < 20; price++) await a.post({ product_id: 'p', price, stock: 1 });
  await cluster.backup('a', 'b');
  const more = await a.post({ product_id: 'p', price: 20, stock: 1 });
  const b = await cluster.start('b');
  t.match(await b.get('p', Number(more.body.seq)), { body: { price: 20 } });
  const again = await b.post({ product_id: 'p', price: 1, stock: 1 }, key);
  t.equal(again.body.seq, first.body.seq, 'it knows the keys');
  const status = await cluster.command(['cluster', 'status']);
  t.match(JSON.parse(status.stdout), { shards: 16, stream: { first: 1, replicas: 1 } });

  const other = await cluster.tries('c', { DEDUPE_WINDOW: '5000' });
  t.match(other, /DEDUPE_WINDOW is 5000 here and 1000000 there/);
  t.match(
    await cluster.tries('a', { LOG: 'file', CLUSTER: '', NATS_URL: '' }),
    /is of the cluster/,
  );

  // The stream as it was before: what both have read since is not in it.
  await server.kill();
  const before = nats.copy();
  await server.start();
  const lost = await cluster.posted(b, { product_id: 'p', price: 30, stock: 1 });
  t.match(await a.get('p', lost), { body: { price: 30 } });
  await server.kill();
  before();
  await server.start();
  await cluster.polled(async () => (a.forked() ? true : undefined));
  t.equal((await a.post({ product_id: 'p', price: 40, stock: 1 })).status, 503);
  t.match(await a.get('p'), { body: { price: 30 } }, 'reads go on');
  t.equal((await a.ready()).status, 503);
  t.equal((await a.ready('?for=reads')).status, 200);
});

t.test('the last place of the store goes to one of two', { skip }, async (t) => {
  const client = { user: 'shop', pass: 'a:b@c' };
  const config = 'authorization { user: shop, password: "a:b@c" }';
  const nats = await startNats(t, 1, { config, client });
  const url = nats.url.replace('nats://', 'nats://shop:a%3Ab%40c@');
  const small = { MAX_MEMORY_USAGE: '8KB', SHARDS: '1' };
  const cluster = await ClusterUnderTest.begin(t, url, 1, small);
  const instances = await Promise.all(['a', 'b'].map((name) => cluster.start(name)));
  const answers: number[] = [];
  for (let n = 0; n < 60; n++) {
    const both = await Promise.all(
      instances.map((one, i) => one.post({ product_id: `p${n}-${i}`, price: 1, stock: 1 })),
    );
    answers.push(...both.map(({ status }) => status));
  }
  t.ok(answers.includes(507), 'it is full');
  const accepted = answers.filter((status) => status === 202).length;
  for (const [i, one] of instances.entries()) {
    let found = 0;
    for (let n = 0; n < 60; n++) {
      for (const j of [0, 1]) {
        const { status } = await one.get(`p${n}-${j}`, accepted);
        if (status === 200) found++;
      }
    }
    t.equal(found, accepted, `instance ${i} has what was accepted`);
  }
  // Bodies without a key, where only the log knows.
  t.strictSame(
    answers.filter((status) => status !== 202 && status !== 507),
    [],
  );
});
