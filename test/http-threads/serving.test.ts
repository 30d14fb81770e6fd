/** What clients of several threads that serve HTTP see: one service, whichever thread each of them talks to. */
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ChangeFollower, type FollowOptions } from '../helpers/clients/change-follower.ts';
import { scrape } from '../helpers/clients/metrics-client.ts';
import { connectToAll, type ThreadConnection } from '../helpers/clients/thread-connections.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const THREADS = 3;
const WAIT_MS_MAX = 60_000;

async function start(t: Test, env: Record<string, string> = {}) {
  const started = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    HTTP_THREADS: String(THREADS),
    ...env,
  });
  return { ...started, connections: await connectToAll(t, started.port, THREADS) };
}

async function follow(t: Test, options: FollowOptions): Promise<ChangeFollower> {
  const follower = new ChangeFollower(options);
  t.teardown(() => follower.disconnect());
  await follower.connect();
  return follower;
}

async function write(to: ThreadConnection, id: string, price: number): Promise<number> {
  const { status, text } = await to.send('POST', '/api/v1/events', {
    product_id: id,
    price,
    stock: 1,
  });
  if (status !== 202) throw new Error(`${status}: ${text}`);
  return JSON.parse(text).seq;
}

t.test('what is written through one thread is read on all', async (t) => {
  const { connections } = await start(t);
  for (const [i, writer] of connections.entries()) {
    const seq = await write(writer, `p${i}`, i + 1);
    for (const reader of connections) {
      const read = await reader.send('GET', `/api/v1/products/p${i}?min_seq=${seq}&wait=30s`);
      t.equal(read.status, 200);
      t.equal(read.headers.etag, `"${seq}"`);
      t.match(JSON.parse(read.text), { price: i + 1 });
    }
  }
});

t.test('a page begun on one thread goes on on another', async (t) => {
  const { connections } = await start(t);
  const [writer] = connections;
  if (writer === undefined) throw new Error('none');
  for (let i = 0; i < 9; i++) await write(writer, `p${i}`, 1);
  for (const first of connections) {
    const ids = new Set<string>();
    let cursor = '';
    for (let i = 0; i === 0 || cursor !== ''; i++) {
      const on = i === 0 ? first : (connections[i % THREADS] ?? first);
      const page = await on.send('GET', `/api/v1/products?limit=2&min_seq=9&wait=30s${cursor}`);
      const { products, next } = JSON.parse(page.text);
      for (const { id } of products) ids.add(id);
      cursor = typeof next === 'string' ? `&cursor=${next}` : '';
    }
    t.equal(ids.size, 9);
  }
});

t.test('events of one connection are numbered in its order, beside others', async (t) => {
  const { connections, service } = await start(t);
  const seqs = await Promise.all(
    connections.map(async (connection, c) => {
      const own: number[] = [];
      for (let i = 1; i <= 50; i++) own.push(await write(connection, `own-${c}`, i));
      return own;
    }),
  );
  for (const own of seqs)
    t.strictSame(
      own,
      own.toSorted((a, b) => a - b),
    );
  t.equal(new Set(seqs.flat()).size, 50 * THREADS, 'no number was given twice');
  for (const [c, own] of seqs.entries()) {
    const { text } = await connections[0].send(
      'GET',
      `/api/v1/products/own-${c}?min_seq=${own.at(-1)}&wait=30s`,
    );
    t.match(JSON.parse(text), { price: 50 });
  }
  t.equal(service.path.progress.loadNextSeq() - 1, 50 * THREADS);
});

t.test('batches come through any thread, in order with what was answered before', async (t) => {
  const { connections } = await start(t);
  let lastSeq = 0;
  for (const [c, connection] of connections.entries()) {
    const lines = Array.from({ length: 500 }, (_, i) =>
      JSON.stringify({ product_id: `b${i}`, price: c * 1000 + i, stock: 1 }),
    );
    const answer = await connection.send(
      'POST',
      '/api/v1/events/batch?ack=applied',
      lines.join('\n'),
      { 'content-type': 'application/x-ndjson' },
    );
    t.equal(answer.status, 200, answer.text);
    const { accepted, last_seq } = JSON.parse(answer.text);
    t.equal(accepted, 500);
    t.ok(last_seq > lastSeq);
    lastSeq = last_seq;
    for (const reader of connections) {
      const { text } = await reader.send('GET', '/api/v1/products/b499');
      t.match(JSON.parse(text), { price: c * 1000 + 499 });
    }
  }
});

t.test('a feed goes on at another thread', async (t) => {
  const { connections, port } = await start(t);
  const followers = await Promise.all(Array.from({ length: 12 }, () => follow(t, { port })));
  for (let i = 1; i <= 30; i++) await write(connections[i % THREADS], `f${i}`, i);
  await Promise.all(followers.map((each) => each.until(() => each.seqs.has(30))));
  for (const each of followers) t.strictSame([...each.seqs].length, 30, 'no gap, on any thread');
  // The next connections are spread anew.
  for (const each of followers) each.disconnect();
  for (let i = 31; i <= 60; i++) await write(connections[i % THREADS], `f${i}`, i);
  const resumed = await Promise.all(
    followers.map((each) => follow(t, { port, lastEventId: each.lastEventId ?? 0 })),
  );
  await Promise.all(resumed.map((each) => each.until(() => each.seqs.has(60))));
  for (const each of resumed) {
    t.strictSame(
      [...each.seqs],
      Array.from({ length: 30 }, (_, i) => 31 + i),
    );
    t.equal(each.fault, undefined);
  }
});

t.test('a keyed event is repeated at another thread', async (t) => {
  const { connections } = await start(t);
  const [one, other] = connections;
  const headers = { 'idempotency-key': 'k1' };
  const event = { product_id: 'k', price: 1, stock: 1 };
  const first = await one.send('POST', '/api/v1/events', event, headers);
  const again = await other.send('POST', '/api/v1/events', event, headers);
  t.equal(again.status, 202);
  t.equal(JSON.parse(again.text).seq, JSON.parse(first.text).seq);
  t.equal(again.headers['idempotency-replayed'], 'true');
  const conflict = await other.send('POST', '/api/v1/events', { ...event, price: 2 }, headers);
  t.equal(conflict.status, 422, conflict.text);
  // The same at once: one is new, all others are its repetitions.
  const answers = await Promise.all(
    connections.map((each) =>
      each.send('POST', '/api/v1/events', event, { 'idempotency-key': 'k2' }),
    ),
  );
  t.equal(new Set(answers.map(({ text }) => JSON.parse(text).seq)).size, 1);
  t.equal(answers.filter(({ headers }) => headers['idempotency-replayed'] === undefined).length, 1);
});

t.test('what exists once is answered by any thread', async (t) => {
  const { connections } = await start(t, { HISTORY: 'forever' });
  const seq = await write(connections[0], 'h', 7);
  for (const connection of connections) {
    const paths = ['/api/v1/dead-letters', '/status/configuration', '/readyz?verbose', '/'];
    for (const path of paths) {
      t.equal((await connection.send('GET', path)).status, 200, path);
    }
    // Its thread has only just begun.
    const past = await polled(
      async () => {
        const path = `/api/v1/products/h/history?field=price&min_seq=${seq}`;
        const answer = await connection.send('GET', path);
        return answer.status === 200 ? answer : undefined;
      },
      WAIT_MS_MAX,
      'the history',
    );
    t.match(JSON.parse(past.text), { entries: [{ value: 7 }] });
    const profile = await connection.send('GET', '/debug/pprof/profile?seconds=1');
    t.equal(profile.status, 200);
    t.equal((await connection.send('DELETE', '/api/v1/dead-letters/1')).status, 404);
  }
});

t.test('metrics are those of all threads, whichever is asked', async (t) => {
  const { connections, port } = await start(t);
  for (const connection of connections) {
    for (let i = 0; i < 10; i++) await connection.send('GET', '/api/v1/products/none');
    await write(connection, 'm', 1);
  }
  const all: readonly [string, Record<string, string>, number][] = [
    [
      'product_service_http_requests_total',
      { method: 'GET', route: '/api/v1/products/:id', status: '404' },
      10 * THREADS,
    ],
    ['product_service_http_problems_total', { code: 'product-not-found' }, 10 * THREADS],
    ['product_service_event_durable_seconds_count', { way: 'single' }, THREADS],
  ];
  const some: readonly [string, Record<string, string>][] = ['main', 'http-1', 'http-2'].flatMap(
    (thread) => [
      ['product_service_thread_cpu_seconds_total', { thread }],
      ['nodejs_eventloop_delay_seconds_count', { thread }],
    ],
  );
  /** A thread may tell late what it has counted, and counts behind its answer. */
  const whole = async () => {
    const figures = await scrape(port);
    const isWhole =
      all.every(([name, labels, count]) => Number(figures.value(name, labels)) >= count) &&
      some.every(([name, labels]) => Number(figures.value(name, labels)) > 0) &&
      Number(figures.value('product_service_http_connections')) > THREADS;
    return isWhole ? figures : undefined;
  };
  for (let i = 0; i < 5; i++) {
    const figures = await polled(whole, WAIT_MS_MAX, 'what all threads have counted');
    for (const [name, labels, count] of all) t.equal(figures.value(name, labels), count, name);
    t.equal(figures.value('product_service_thread_restarts_total', { thread: 'http' }), 0);
  }
});
