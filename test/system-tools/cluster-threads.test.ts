/**
 * An instance of a cluster that serves HTTP on several threads, beside one that has one. It runs in the test's
 * process, where its threads are killed and hang while what they took in is on its way to the stream:
 *
 *  1 a thread dies   its proposal is settled as if it lived; nobody was told; a retry under its key is answered
 *                    with the first's seq, by its successor, by another thread, by another instance
 *  2 it hangs        likewise, once it was ended
 *  3 the log's dies  the successor has to know which slots of which thread come back
 */
import { existsSync } from 'node:fs';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { natsSettings } from '../../src/config/nats.ts';
import { enterCluster } from '../../src/joining/enter-cluster.ts';
import { producersOf, unsettledOf } from '../../src/ring/intake-ring.ts';
import { SharedReservations } from '../../src/store/reservations.ts';
import { Shard } from '../../src/store/shard.ts';
import { planStore } from '../../src/store/sizing.ts';
import { inFlightOf } from '../../src/write-path/service-limits.ts';
import type { WritePath } from '../../src/write-path/write-path.ts';
import { polled } from '../helpers/bounded.ts';
import { connectToAll, type ThreadConnection } from '../helpers/clients/thread-connections.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { SMALL, startReadyService } from '../helpers/processes/service-in-process.ts';
import { ClusterUnderTest } from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';
import { ServiceThreads } from '../helpers/threads/service-threads.ts';

const skip = !existsSync('/usr/sbin/nats-server') && process.env.CI !== 'true';
const THREADS = 3;
const WAIT_MS_MAX = 60_000;
const HANGING = new URL('../helpers/threads/hanging-http.ts', import.meta.url);
/** As those of the service in the test's process. */
const SIZES = { SHARDS: SMALL.SHARDS, MAX_MEMORY_USAGE: SMALL.MAX_MEMORY_USAGE };

t.setTimeout(600_000);

/** An instance with THREADS threads in the test's process. */
async function startHere(t: Test, cluster: ClusterUnderTest, url: string, more = {}) {
  const env = {
    ...{ LOG: 'jetstream', NATS_URL: url, CLUSTER: cluster.name, DATA_DIR: tempDir(t) },
    ...{ HTTP_THREADS: String(THREADS), ...more },
  };
  const config = loadConfig({ ...SMALL, ...env });
  const { dataDir, shards, dedupeEvents } = config;
  const shardEntries = planStore(config.storeBytesMax, shards).shard.entries;
  const nats = natsSettings(config);
  const own = { name: cluster.name, nats, dataDir, shards, shardEntries, dedupeEvents };
  const genesis = await enterCluster(own, { onLine: () => undefined, isStopping: () => false });
  const membership = { name: cluster.name, nats, genesis, isReader: config.role === 'reader' };
  const here = await startReadyService(t, env, {
    ...{ cluster: membership, threads: { http: HANGING } },
  });
  await polled(() => here.service.storageAvailable || undefined, WAIT_MS_MAX, 'it to take writes');
  return here;
}

/** What an answer says: its seq, or what came of the connection. */
async function posted(on: ThreadConnection, key: string, event: object): Promise<number | string> {
  try {
    const answer = await on.send('POST', '/api/v1/events', event, { 'idempotency-key': key });
    return answer.status === 202 ? Number(JSON.parse(answer.text).seq) : answer.text;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** The seq that it is acknowledged with, in the end: a thread that was replaced may be a moment late. */
function acknowledged(on: ThreadConnection, key: string, event: object): Promise<number> {
  const ask = async () => {
    const said = await posted(on, key, event);
    return typeof said === 'number' ? said : undefined;
  };
  return polled(ask, WAIT_MS_MAX, `an acknowledgement of ${key}`);
}

/** Whether all that was taken of the service's limits is given back. */
function isAllGivenBack({ memory, watermark, progress }: WritePath): true | undefined {
  const { together } = memory;
  if (together === undefined) throw new Error('several threads');
  const { single, batch } = inFlightOf(together);
  const shards = memory.shards.map((buffer) => new Shard(buffer));
  const { total } = new SharedReservations(together.room, shards.length, 0);
  const released = shards.reduce((sum, shard) => sum + shard.released(THREADS), 0);
  const isApplied = watermark.seq === progress.loadNextSeq() - 1;
  return isApplied && single + batch === 0 && total === released ? true : undefined;
}

t.test('several HTTP threads in a cluster', { skip }, async (t) => {
  const threads = new ServiceThreads(t);
  const nats = await startNats(t);
  const [server] = nats.servers;
  if (server === undefined) throw new Error('one');
  const cluster = await ClusterUnderTest.begin(t, nats.url, 1, SIZES);
  const [here, other] = await Promise.all([
    startHere(t, cluster, nats.url, { STALL_TIMEOUT: '10s', STORAGE_TIMEOUT: '20s' }),
    cluster.start('b', { HTTP_THREADS: '1' }),
  ]);
  const { port, service } = here;
  const { path } = service;
  let connections = await connectToAll(t, port, THREADS);
  let restarts = 0;
  const get = async (on: ThreadConnection, target: string) => {
    const { status, text } = await on.send('GET', target, undefined, {
      accept: 'application/json',
    });
    return { status, body: JSON.parse(text) };
  };
  /** Resolves when one more thread was replaced, to new connections to all. */
  const replaced = async () => {
    restarts++;
    const isSo = () => service.http.further?.restarts === restarts || undefined;
    await polled(isSo, WAIT_MS_MAX, 'the thread to be replaced');
    const connected = () => connectToAll(t, port, THREADS).catch(() => undefined);
    return polled(connected, WAIT_MS_MAX, 'all threads to answer');
  };

  const ends = {
    dies: async () => void (await threads.http[0]?.terminate()),
    hangs: async () => {
      const words = new Int32Array(new SharedArrayBuffer(4));
      threads.http[0]?.postMessage(words.buffer);
    },
    'dies-with-the-logs': async () => {
      await threads.killLog();
      await threads.http[0]?.terminate();
    },
  };
  for (const [how, end] of Object.entries(ends)) {
    await t.test(`one ${how} while what it took in is on its way`, async (t) => {
      const event = { product_id: 'p', price: 1, stock: 1 };
      server.pause();
      const posting = connections.map((on, i) => posted(on, `${how}-${i}`, event));
      const arePublished = () =>
        producersOf(path.rings).every(({ live }) => unsettledOf(live) === 1) || undefined;
      await polled(arePublished, WAIT_MS_MAX, 'an event of each thread to be on its way');
      await end();
      server.goOn();
      const answers = await Promise.all(posting);
      connections = await replaced();
      const lost = answers.findIndex((answer) => typeof answer === 'string');
      t.equal(answers.filter((answer) => typeof answer === 'number').length, THREADS - 1);
      t.equal(answers[lost], 'ECONNRESET', 'who waited sees a closed connection');
      for (const [i, answer] of answers.entries()) {
        const key = `${how}-${i}`;
        const retries = await Promise.all(connections.map((on) => acknowledged(on, key, event)));
        const elsewhere = await cluster.posted(other, event, { 'idempotency-key': key });
        const seqs = new Set([...retries, elsewhere, ...(i === lost ? [] : [answer])]);
        t.equal(seqs.size, 1, `one seq, whoever is asked: ${[...seqs].join()}`);
      }
      await polled(() => isAllGivenBack(path), WAIT_MS_MAX, 'the limits to be free');
      t.equal(path.watermark.seq, THREADS * restarts, 'each event once');
    });
  }
  t.equal(path.log.restarts, 1);

  await t.test('written there and read here, and the other way round', async (t) => {
    for (const [i, on] of connections.entries()) {
      const { body } = await other.post({ product_id: `p${i}`, price: i, stock: 1 });
      t.match(await get(on, `/api/v1/products/p${i}?min_seq=${body.seq}&wait=30s`), {
        status: 200,
        body: { price: i },
      });
      const patch = { 'content-type': 'application/merge-patch+json', 'if-match': `"${body.seq}"` };
      const send = () => on.send('PATCH', `/api/v1/products/p${i}`, { stock: 7 }, patch);
      t.equal((await send()).status, 200);
      t.equal((await send()).status, 412);
      const lines = Array.from({ length: 300 }, (_, n) => ({
        ...{ product_id: `b${n}`, price: i + 1, stock: 1 },
      }));
      const text = `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`;
      const key = { 'idempotency-key': `batch-${i}` };
      const headers = { 'content-type': 'application/x-ndjson', ...key };
      const batch = JSON.parse((await on.send('POST', '/api/v1/events/batch', text, headers)).text);
      t.match(batch, { accepted: 300 });
      t.match((await other.batch(lines, key)).body, { duplicates: 300 });
      t.match(await other.get('b299', batch.last_seq), { body: { price: i + 1 } });
    }
    // Pages, each of another thread or instance.
    const elsewhere = (target: string) => other.read(target);
    const reads = [...connections.map((on) => (target: string) => get(on, target)), elsewhere];
    const ids = new Set<string>();
    let cursor = '';
    for (let i = 0; i === 0 || cursor !== ''; i++) {
      const { body } = await (reads[i % reads.length] ?? elsewhere)(
        `/api/v1/products?limit=20${cursor}`,
      );
      for (const { id } of body.products) ids.add(id);
      cursor = typeof body.next === 'string' ? `&cursor=${body.next}` : '';
    }
    t.equal(ids.size, 300 + THREADS + 1);
    // A page of changes behind what this instance has come to waits for it, on each thread.
    const ahead = connections.map((on) =>
      get(on, `/api/v1/changes?since=${path.watermark.seq + 1}`),
    );
    await other.post({ product_id: 'p0', price: 100, stock: 1 });
    for (const { body } of await Promise.all(ahead)) t.match(body, { reset: false });
  });

  await t.test('NATS away: each says what is known of an event, and reads on', async (t) => {
    const retried = (i: number) => ({ product_id: 'q', price: i, stock: 1 });
    const key = (i: number) => ({ 'idempotency-key': `q${i}` });
    server.pause();
    const events = connections.map((on, i) =>
      on.send('POST', '/api/v1/events', retried(i), key(i)),
    );
    for (const { status, text } of await Promise.all(events)) {
      t.match({ status, body: JSON.parse(text) }, { status: 503, body: { outcome: 'unknown' } });
    }
    await polled(() => !service.storageAvailable || undefined, WAIT_MS_MAX, 'it to be noticed');
    for (const on of connections) {
      const isTold = async () => (await get(on, '/readyz')).status === 503 || undefined;
      await polled(isTold, WAIT_MS_MAX, 'each thread to know');
      const { text } = await on.send('POST', '/api/v1/events', retried(9));
      t.match(JSON.parse(text), { code: 'storage-unavailable', outcome: 'none' });
      t.match(await get(on, '/api/v1/products/p1'), { status: 200, body: { price: 1 } });
      t.equal((await get(on, '/readyz?for=reads')).status, 200);
    }
    server.goOn();
    await polled(() => service.storageAvailable || undefined, WAIT_MS_MAX, 'NATS to be back');
    const seqs: number[] = [];
    for (const [i, on] of connections.entries()) {
      const seq = await cluster.posted(other, retried(i), key(i));
      t.equal(await acknowledged(on, `q${i}`, retried(i)), seq);
      seqs.push(seq);
    }
    t.equal(new Set(seqs).size, THREADS);
    const last = path.progress.loadNextSeq() - 1;
    t.equal(last, Math.max(...seqs), `none of them twice: ${seqs.join()}`);
  });
  t.equal((await cluster.agreed(2)).instances.length, 2, 'one chain');
  t.ok(await service.stop(), 'it ends in order');

  await t.test('those of a reader', async (t) => {
    const reader = await startHere(t, cluster, nats.url, { ROLE: 'reader' });
    const { body } = await other.post({ product_id: 'p', price: 5, stock: 1 });
    for (const on of await connectToAll(t, reader.port, THREADS)) {
      const found = await get(on, `/api/v1/products/p?min_seq=${body.seq}&wait=30s`);
      t.match(found, { status: 200, body: { price: 5 } });
      const { status, text } = await on.send('POST', '/api/v1/events', { product_id: 'p' });
      t.match({ status, body: JSON.parse(text) }, { status: 405, body: { code: 'read-only' } });
      t.equal((await get(on, '/readyz')).status, 200);
      t.equal((await get(on, '/readyz?for=writes')).status, 503);
    }
  });
});
