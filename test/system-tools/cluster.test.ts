/** Three instances over one NATS server, as a user runs them. */
import { existsSync } from 'node:fs';
import t from 'tap';
import { ClusterUnderTest } from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
t.test('instances share one truth', { skip: isMissing && process.env.CI !== 'true' }, async (t) => {
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

  // One is killed; its memory comes back from its folder and the stream.
  await b.kill();
  const missed = await a.post({ product_id: 'p', price: 5, stock: 5 });
  const back = await cluster.start('b');
  t.match(await back.get('p', Number(missed.body.seq)), { body: { price: 5 } });
  t.match(await back.post(keyed, { 'idempotency-key': 'k1' }), { body: { seq: Number(seq) } });

  // NATS away: reads go on, writes are refused, and it comes back by itself.
  await nats.servers[0]?.kill();
  await cluster.polled(async () =>
    (await a.post({ product_id: 'r', price: 1, stock: 1 })).status === 503 ? true : undefined,
  );
  t.match(await a.get('p'), { status: 200, body: { price: 5 } });
  await nats.servers[0]?.start();
  await cluster.polled(async () =>
    (await c.post({ product_id: 'r', price: 7, stock: 1 })).status === 202 ? true : undefined,
  );
});
