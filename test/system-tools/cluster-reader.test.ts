/** Instances that only read, beside one that writes; NATS lets them publish nothing to the stream. */
import { existsSync } from 'node:fs';
import t from 'tap';
import { ClusterUnderTest } from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const skip = isMissing && process.env.CI !== 'true';
const CONFIG = `authorization { users: [
  { user: writer, password: writes-all }
  { user: reader, password: reads-only, permissions: { publish: { deny: "ps.*.*.log" } } }
] }`;

t.test('readers follow, and take no writes', { skip }, async (t) => {
  const client = { user: 'writer', pass: 'writes-all' };
  const nats = await startNats(t, 1, { config: CONFIG, client });
  const cluster = await ClusterUnderTest.begin(t, nats.url, 1, {
    ...{ NATS_USER: 'writer', NATS_PASSWORD: 'writes-all' },
  });
  const a = await cluster.start('a');
  const lines = Array.from({ length: 20_000 }, (_, i) => ({
    ...{ product_id: `p${i}`, price: i, stock: 1 },
  }));
  t.match(await a.batch(lines, { 'idempotency-key': 'b' }), { status: 202 });

  // All is there as soon as one is ready: it is not sent reads before.
  const reading = { ROLE: 'reader', NATS_USER: 'reader', NATS_PASSWORD: 'reads-only' };
  const readers = await Promise.all(['r1', 'r2'].map((name) => cluster.start(name, reading)));
  for (const reader of readers) {
    t.match(await reader.get('p19999'), { status: 200, body: { price: 19_999 } });
    const refused = await reader.post({ product_id: 'p0', price: 5, stock: 1 });
    t.match(refused, { status: 405, body: { code: 'read-only' } });
  }
  const { body } = await a.post({ product_id: 'p0', price: 7, stock: 1 });
  for (const reader of readers) {
    t.match(await reader.get('p0', Number(body.seq)), { body: { price: 7 } });
    t.notOk(reader.process.log.some(({ msg }) => String(msg).includes('unavailable')));
  }

  // They are at the same place, with the same made of it.
  let { instances, stream } = await cluster.status(3);
  // What comes between two answers (an instance says now and then that it is there) one of them has not seen.
  await cluster.polled(async () => {
    ({ instances, stream } = await cluster.status(3));
    return instances.every(({ position }) => position === stream.last) || undefined;
  });
  t.strictSame(instances.map(({ role }) => role).sort(), ['full', 'reader', 'reader']);
  for (const instance of instances) {
    const same = { seq: body.seq, chain: instances[0]?.chain, rules: 1, stream: 'up' };
    t.match(instance, { ...same, diverged: false, position: stream.last, lag: 0 });
  }

  const [first] = readers;
  await first?.kill();
  const missed = await a.post({ product_id: 'p1', price: 8, stock: 1 });
  const back = await cluster.start('r1', reading);
  t.match(await back.get('p1', Number(missed.body.seq)), { body: { price: 8 } });

  await nats.servers[0]?.kill();
  await cluster.polled(async () => ((await a.ready()).status === 503 ? true : undefined));
  t.match(await back.ready(), { status: 200 });
  t.match(await back.ready('?for=writes'), { status: 503 });
  t.match(await back.get('p1'), { body: { price: 8 } });
  // One that starts now has what it knows.
  await back.kill();
  const alone = await cluster.start('r1', reading);
  t.match(await alone.get('p1'), { body: { price: 8 } });
  await nats.servers[0]?.start();
  const seq = await cluster.posted(a, { product_id: 'p2', price: 9, stock: 1 });
  t.match(await alone.get('p2', seq), { body: { price: 9 } });
  await Promise.all([a, alone].map((one) => one.stop()));
  t.equal(cluster.events('r1').length, cluster.events('a').length);
});
