/**
 * The whole API on another log than the one in the data folder: one in memory, which events of another
 * instance come through too. That the service asks nothing of the files is what this proves.
 */
import t, { type Test } from 'tap';
import { INTAKE_HEAD, publishHead } from '../../src/ring/intake-ring.ts';
import type { LogSource } from '../../src/write-path/log-source.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient, seqOf } from '../helpers/clients/api-client.ts';
import { sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { MemoryHistory, MemoryStream } from '../helpers/fakes/memory-log.ts';
import { type PlainEvent, putEvent } from '../helpers/models/plain-event.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { ServiceThreads } from '../helpers/threads/service-threads.ts';

const CAPACITY = 40_000;
/** More than the commit ring holds, so that the feed's beginning comes from the log. */
const BATCH = 20_000;
const PRODUCTS = 100;
const WAIT_MS_MAX = 60_000;

function memoryLog(memory = MemoryStream.create(CAPACITY)): LogSource & { stream: MemoryStream } {
  const stream = new MemoryStream(memory);
  return {
    entry: new URL('../helpers/fakes/memory-log-thread.ts', import.meta.url),
    data: { stream: memory },
    checkpoint: {
      entry: new URL('../helpers/fakes/memory-log-checkpoint.ts', import.meta.url),
      data: { stream: memory },
    },
    history: () => new MemoryHistory(stream),
    stream,
  };
}

async function started(t: Test, log: ReturnType<typeof memoryLog>, env = {}) {
  const threads = new ServiceThreads(t);
  const { service, port, logged } = await startReadyService(
    t,
    { DATA_DIR: tempDir(t), ...env },
    { log },
  );
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const request = async (path: string, init?: RequestInit) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, init);
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  };
  const post = (body: object, query = '', headers = {}) =>
    request(`/events${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  /** Another instance takes an event in. */
  const foreign = (event: Partial<PlainEvent>) => {
    const { stream } = log;
    const head = stream.foreign.cursors[INTAKE_HEAD];
    const whole = { seq: 0, productId: 'theirs', price: 1, stock: 2, occurredAtMs: 3, ...event };
    const { memory, rings } = service.path;
    putEvent(stream.foreign.slots, head & stream.foreign.mask, whole, memory.hashKey);
    publishHead(stream.foreign, (head + 1) | 0, rings.live);
  };
  return { service, port, logged, threads, client, request, post, foreign };
}

t.test('writes, reads, batches, feed, conditions, repetitions, a death, a restart', async (t) => {
  const log = memoryLog();
  const world = await started(t, log);
  const { service, port, threads, client, request, post, foreign } = world;

  t.equal((await post({ product_id: 'a', price: 1, stock: 2 }, '?ack=applied')).status, 200);
  t.match(await client.product('a'), { price: 1, stock: 2 });
  const keyed = { product_id: 'a', price: 3, stock: 4, event_id: 'once' };
  const first = await post(keyed);
  t.equal(first.status, 202);
  const again = await post(keyed);
  t.equal(JSON.parse(again.text).seq, JSON.parse(first.text).seq, 'a repetition has its seq');
  t.equal((await post({ ...keyed, price: 5 })).status, 422, 'another event under the key');
  await client.visible('a', 3);

  const patch = (headers: object) =>
    request('/products/b', {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json', ...headers },
      body: '{"price":1,"stock":1}',
    });
  t.equal((await patch({ 'if-none-match': '*' })).status, 200);
  t.equal((await patch({ 'if-none-match': '*' })).status, 412);
  t.equal((await request('/products/b?ack=applied', { method: 'DELETE' })).status, 200);

  const lines = Array.from(
    { length: BATCH },
    (_, n) =>
      `{"product_id":"p${n % PRODUCTS}","price":${n + 1},"stock":1,"occurred_at":${n + 1}}\n`,
  );
  const { status, body } = await sendBatch(port, lines.join(''), { query: '?ack=applied' });
  t.equal(status, 200);
  t.match(body, { accepted: BATCH, rejected: 0 });
  t.match(await client.product('p0'), { price: BATCH - PRODUCTS + 1 });

  foreign({ productId: 'theirs', price: 8 });
  await client.visible('theirs', 8);
  await threads.killLog();
  t.equal(seqOf(await client.post({ product_id: 'c', price: 9, stock: 9 })) > BATCH, true);
  await client.visible('c', 9);

  const list = JSON.parse((await request('/products?limit=5')).text);
  t.equal(list.products.length, 5);
  const exported = (
    await request('/products', { headers: { accept: 'application/x-ndjson' } })
  ).text
    .trim()
    .split('\n');
  t.equal(exported.length, PRODUCTS + 3, 'all that are listed');
  const seen: number[] = [];
  for (let since = 0; ; ) {
    const page = JSON.parse((await request(`/changes?since=${since}&limit=1000`)).text);
    seen.push(...page.changes.map(({ seq }: { seq: number }) => seq));
    if (page.next_since === since || page.changes.length === 0) break;
    since = page.next_since;
  }
  t.strictSame(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  t.equal(new Set(seen).size, seen.length, 'the feed tells each once');
  t.equal(seen[0], 1, 'from the first one on, which only the log has');
  t.equal(seen.length >= BATCH + 5, true, `${seen.length} changes`);
  t.equal((await request(`/events/${seen.at(-1)}`)).status, 200);
  const nextSeq = service.path.progress.loadNextSeq();
  t.equal(await service.stop(), true);
  t.ok(
    world.logged.some(({ msg }) => msg.startsWith('checkpoint: ')),
    'a checkpoint is taken beside it',
  );

  const next = await started(t, log);
  t.equal(next.service.path.progress.loadNextSeq(), nextSeq);
  t.match(await next.client.product('a'), { price: 3 });
  t.match(await next.client.product('theirs'), { price: 8 });
  t.equal(await next.client.product('b'), undefined);
  const repeated = await next.post(keyed);
  t.equal(JSON.parse(repeated.text).seq, JSON.parse(first.text).seq);
  t.equal(await next.service.stop(), true);
});

t.test('events of another instance that find no room', async (t) => {
  const log = memoryLog();
  const env = { MAX_MEMORY_USAGE: '4KB', SHARDS: '1', WORKERS: '1' };
  const { service, logged, post, foreign, client } = await started(t, log, env);
  const entries = service.path.store.size;
  t.equal(entries, 0);
  for (let n = 0; n < 40; n++) foreign({ productId: `their ${n}` });
  await polled(
    () => service.path.watermark.seq === 40 || undefined,
    WAIT_MS_MAX,
    'all to be applied',
  );
  const dead = 40 - service.path.store.size;
  t.ok(dead > 0);
  // Appliers tell of them by messages.
  const { appliers } = service.path;
  await polled(() => appliers.deadCount >= dead || undefined, WAIT_MS_MAX, 'all to be told');
  t.equal(appliers.deadCount, dead, 'each found a place or is dead');
  t.equal(logged.filter(({ msg }) => msg.includes('no room for its product')).length, dead);
  t.equal((await post({ product_id: 'ours', price: 1, stock: 1 })).status, 507);
  t.equal((await client.post({ product_id: 'their 0', price: 5, stock: 1 })).status, 202);
  await client.visible('their 0', 5);
  t.equal(await service.stop(), true);
});
