/**
 * The stream is trimmed behind what the instances have on disk. The wrong moment: one of them stands still while the
 * stream fills, and would come back to one that has gone on without it. And one that follows so slowly that it fills up.
 *
 * `WHOLE=1` also lets one stand still until it is full: what holds it then goes by itself. COPIES=3 has three servers.
 */
import { existsSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import t from 'tap';
import { Random, testSeed } from '../helpers/models/random.ts';
import {
  ClusterUnderTest,
  type InstanceUnderTest,
} from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const skip = isMissing && process.env.CI !== 'true';
const seed = testSeed();
const STREAM_BYTES = 500_000;
/** In this time each instance looks at the stream, which it does every five seconds. */
const SILENT_MS = 9000;
/** Instances that are silent are reckoned with for half a minute since they were heard of, by who looks; this is less. */
const RECKONED_MS = 20_000;
/** Of what takes too long on a machine that is slow for a while. */
const TRIES = 5;
/** Whoever meets a full stream hears of it soon. */
const PATIENCE = { STORAGE_TIMEOUT: '5s' };

/** Between two looks: each of them costs as much as some writes. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 300));

t.setTimeout(600_000);

t.test(`the stream keeps what instances need (seed ${seed})`, { skip }, async (t) => {
  const random = new Random(seed);
  const copies = Number(process.env.COPIES ?? 1);
  const nats = await startNats(t, copies);
  const size = String(STREAM_BYTES);
  const cluster = await ClusterUnderTest.begin(t, nats.url, copies, PATIENCE, size);
  const [a, b, c] = [await cluster.start('a'), await cluster.start('b'), await cluster.start('c')];
  let last = await cluster.posted(a, { product_id: 'first', price: 1, stock: 1 });
  await c.get('first', last);
  const pidOf = c.process.pid;
  const ofC = async () => (await cluster.status(3)).instances.find(({ pid }) => pid === pidOf);
  let batches = 0;
  // Ids that zstd makes nothing of: few events fill it.
  const id = () => Array.from({ length: 12 }, () => random.below(36 ** 5).toString(36)).join('');
  const lines = (count: number) =>
    Array.from({ length: count }, () => ({ product_id: id(), price: 1, stock: 1 }));
  const batch = async (count: number) => {
    const { status, body } = await a.batch(lines(count), { 'idempotency-key': `b${++batches}` });
    if (status === 202) last = Number(body.last_seq);
  };
  const fills = async (share: number, count: number) => {
    while ((await cluster.stream()).bytes < STREAM_BYTES * share) await batch(count);
  };
  for (let tries = 1; ; tries++) {
    await cluster.polled(async () => {
      await pause();
      const state = await ofC();
      return state !== undefined && state.kept === state.position ? true : undefined;
    });
    const needed = ((await ofC())?.kept ?? 0) + 1;
    const stoppedMs = performance.now();
    c.process.kill('SIGSTOP');
    // Now others are far ahead of it, and the stream is full enough.
    await batch(800);
    await fills(0.55, 800);
    await new Promise((resolve) => setTimeout(resolve, SILENT_MS));
    const { first_seq: first } = await cluster.stream();
    const isReckoned = performance.now() - stoppedMs < RECKONED_MS;
    c.process.kill('SIGCONT');
    t.match(await c.get('first', last), { status: 200 });
    if (!isReckoned && tries < TRIES) continue;
    t.ok(first <= needed, `it begins at ${first}, and ${needed} is needed`);
    if (tries === 1) t.notOk(c.process.log.some(({ msg }) => msg.startsWith('joining')));
    break;
  }

  // As soon as all have it, more than half of it goes, in one step or in some; none of them is missing anything.
  await cluster.polled(async () => {
    await pause();
    const { first_seq: begin, bytes } = await cluster.stream();
    return begin > 1 && bytes < STREAM_BYTES / 2 ? true : undefined;
  });
  await c.kill();
  const full = await cluster.status(2);
  t.ok(full.stream.first <= Math.min(...full.instances.map(({ kept }) => kept)) + 1);
  last = await cluster.posted(b, { product_id: 'first', price: 2, stock: 1 });
  // One that begins now can't read the stream's beginning.
  const d = await cluster.start('d');
  t.match(await d.get('first', last), { status: 200, body: { price: 2 } });
  t.strictSame(await d.pages(), await a.pages());

  // One follows, and so slowly that nothing may go: the stream fills up.
  const connection = await connect({ servers: nats.url.split(',') });
  t.teardown(() => connection.close());
  const { first_seq: held } = await cluster.stream();
  let asked = 0;
  let isSlow = true;
  connection.subscribe(`ps.${cluster.name}.1.who`, {
    callback: (_, message) => {
      // It moves all the time, and gets nowhere.
      const kept = isSlow ? held - 1 - (asked++ % 2) : Number.MAX_SAFE_INTEGER;
      const slow = { id: 'slow', host: 'slow', pid: 1, role: 'reader', kept, position: kept };
      message.respond(JSON.stringify({ ...slow, sinks: {} }));
    },
  });
  const acknowledged = new Map<string, number>();
  /** Single events through both until neither takes one; what they say then. */
  const fillsUp = async () => {
    await fills(0.85, 800);
    await fills(0.97, 200);
    for (let refused = 0; refused < 4; ) {
      const instance = random.pick([a, b]);
      const product = `s-${id()}`;
      const { status, body } = await instance.post({ product_id: product, price: 1, stock: 1 });
      if (status === 202) acknowledged.set(product, Number(body.seq));
      else {
        refused++;
        t.match({ status, body }, { status: 503, body: { code: 'storage-unavailable' } });
        t.match(body.outcome, /^(none|unknown)$/, 'with its outcome');
      }
    }
  };
  await fillsUp();
  const whole = { 'idempotency-key': 'does-not-fit' };
  const large = lines(1000);
  const refused = await a.batch(large, whole);
  t.match(refused, { status: 503, body: { outcome: /none|partial|unknown/ } }, 'a batch, too');
  await cluster.polled(async () => (await a.ready()).status === 503 || undefined);
  t.equal((await a.ready('?for=reads')).status, 200);
  const saysWhy = async () =>
    a.process.log.some((line) => line.reason === 'the stream refuses: maximum bytes exceeded') ||
    undefined;
  await cluster.polled(saysWhy);
  const takesWrites = () =>
    cluster.polled(async () => {
      await pause();
      return (await a.ready()).status === 200 ? true : undefined;
    });
  const readsGoOn = async (instance: InstanceUnderTest) => {
    last = Math.max(...acknowledged.values());
    for (const product of [...acknowledged.keys()].slice(-20)) {
      t.match(await instance.get(product, last), { status: 200 }, product);
    }
  };
  await readsGoOn(a);
  // Also where one starts now: it can read the stream, and serves no older state than is there.
  const back = await cluster.start('c', {}, '?for=reads');
  await readsGoOn(back);
  await cluster.polled(async () => (await back.ready()).status === 503 || undefined);
  t.equal((await back.post({ product_id: 'none', price: 1, stock: 1 })).status, 503);

  // Room is made: all come back by themselves, and what was refused is taken once.
  isSlow = false;
  await takesWrites();
  for (const instance of [a, b, back, d]) {
    last = await cluster.posted(instance, { product_id: 'first', price: 3, stock: 1 });
  }
  await cluster.polled(async () => {
    // It may be on its way still.
    const { status, body } = await a.batch(large, whole);
    if (status !== 202) return undefined;
    last = Math.max(last, Number(body.last_seq));
    return true;
  });
  const pages = [];
  for (const instance of [a, b, back, d]) {
    t.match(await instance.get('first', last), { status: 200 });
    pages.push(await instance.pages());
  }
  for (const other of pages) t.strictSame(other, pages[0]);
  const seqs = new Map((pages[0] as { id: string; seq: number }[]).map((one) => [one.id, one.seq]));
  t.strictSame(
    [...acknowledged].filter(([product, seq]) => seqs.get(product) !== seq),
    [],
    `of ${acknowledged.size} acknowledged while it filled up none is lost`,
  );
  t.equal(large.filter(({ product_id: product }) => seqs.has(product)).length, large.length);
  if (process.env.WHOLE === undefined) return;

  // And where one stands still that is reckoned with.
  d.process.kill('SIGSTOP');
  await fillsUp();
  await takesWrites();
  last = await cluster.posted(b, { product_id: 'first', price: 4, stock: 1 });
  d.process.kill('SIGCONT');
  await cluster.polled(async () =>
    d.process.log.some(({ msg }) => msg.startsWith('joining: took over')) ? true : undefined,
  );
  await cluster.polled(async () => ((await d.ready()).status === 200 ? true : undefined));
  t.match(await d.get('first', last), { status: 200, body: { price: 4 } });
  t.strictSame(await d.pages(), await a.pages());
});
