/** A thread that serves HTTP dies, or hangs: the others go on, nothing acknowledged is lost, a successor serves. */
import t, { type Test } from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { scrape } from '../helpers/clients/metrics-client.ts';
import { connectToAll, type ThreadConnection } from '../helpers/clients/thread-connections.ts';
import { faultsOf, type Tally, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { ServiceThreads } from '../helpers/threads/service-threads.ts';

const THREADS = 3;
const WAIT_MS_MAX = 60_000;
const CLOSED = new URL('../helpers/threads/closed-http.ts', import.meta.url);
const HANGING = new URL('../helpers/threads/hanging-http.ts', import.meta.url);

function start(t: Test, env: Record<string, string> = {}, http?: URL) {
  const own = { DATA_DIR: tempDir(t), HTTP_THREADS: String(THREADS) };
  return startReadyService(t, { ...own, ...env }, http === undefined ? {} : { threads: { http } });
}

/** Resolves when that many threads were replaced, and all answer. */
async function replaced(t: Test, port: number, restarts: number): Promise<void> {
  await polled(
    async () => {
      const labels = { thread: 'http' };
      // A connection that is kept may have been to the one that died.
      const figures = await scrape(port).catch(() => undefined);
      const value = figures?.value('product_service_thread_restarts_total', labels);
      return value === restarts ? true : undefined;
    },
    WAIT_MS_MAX,
    'a thread to be replaced',
  );
  for (const each of await connected(t, port)) each.close();
}

/** Connections to all threads, also where some are refused because those that were closed still count. */
function connected(t: Test, port: number): Promise<readonly ThreadConnection[]> {
  const all = () => connectToAll(t, port, THREADS).catch(() => undefined);
  return polled(all, WAIT_MS_MAX, 'all threads to answer');
}

t.test('under load', async (t) => {
  const threads = new ServiceThreads(t);
  const { port, service, logged } = await start(t);
  const ledger = new AckLedger();
  const tally: Tally = {};
  let isOver = false;
  const clients = Array.from({ length: 24 }, async (_, client) => {
    // A connection that is closed is made anew, which is what clients do.
    while (!isOver) {
      await write({
        port,
        ledger: named(ledger, client),
        connections: 1,
        products: 3,
        eventsMax: 100_000,
        isOver: () => isOver,
        tally,
      });
    }
  });
  for (let round = 1; round <= 3; round++) {
    const before = ledger.acknowledgements;
    await polled(
      () => (ledger.acknowledgements > before + 300 ? true : undefined),
      WAIT_MS_MAX,
      'some acknowledgements',
    );
    await threads.http.at(round % 2)?.terminate();
    await replaced(t, port, round);
  }
  isOver = true;
  await Promise.all(clients);
  t.strictSame(await faultsOf(ledger, port), [], 'every acknowledged event is there');
  const outcomes = Object.keys(tally).filter((outcome) => outcome !== '202');
  t.strictSame(
    outcomes.filter((outcome) => !/^(ECONNRESET|EPIPE)/.test(outcome)),
    [],
    'who waited sees a closed connection, and nobody an error',
  );
  t.ok(outcomes.length > 0, 'some waited');
  t.equal(logged.filter(({ msg }) => msg === 'http thread died').length, 3);
  const areCounted = async () => {
    const figures = await scrape(port).catch(() => undefined);
    const counted = figures?.value('product_service_events_accepted_total', { way: 'single' });
    return Number(counted) >= ledger.acknowledgements || undefined;
  };
  await polled(areCounted, WAIT_MS_MAX, 'all acknowledged events to be counted');
  t.equal(service.phase, 'ready');
  t.ok(await service.stop(), 'it ends in order');
});

/** The same ledger, with products of the client's own. */
function named(ledger: AckLedger, client: number): AckLedger {
  const own: AckLedger = Object.create(ledger);
  own.attempt = (id) => ledger.attempt(`client ${client}/${id}`);
  own.acknowledged = (event, seq) => ledger.acknowledged(event, seq);
  own.refused = (event) => ledger.refused(event);
  return own;
}

t.test('between an event and its answer: a retry by key gets the true answer', async (t) => {
  const threads = new ServiceThreads(t);
  const { port } = await start(t);
  const connections = await connectToAll(t, port, THREADS);
  const [victim] = threads.http;
  const event = { product_id: 'k', price: 1, stock: 1 };
  const waiting = connections.map(async (connection, i) => {
    const answers: (number | undefined)[] = [];
    for (let n = 0; n < 200; n++) {
      const headers = { 'idempotency-key': `key-${i}-${n}` };
      const answer = await connection
        .send('POST', '/api/v1/events', event, headers)
        .catch(() => undefined);
      answers.push(answer?.status === 202 ? JSON.parse(answer.text).seq : undefined);
      if (i === 0 && n === 20) void victim?.terminate();
    }
    return answers;
  });
  const first = await Promise.all(waiting);
  await replaced(t, port, 1);
  const [again] = await connectToAll(t, port, THREADS);
  const seen = new Set<number>();
  for (const [i, answers] of first.entries()) {
    for (const [n, seq] of answers.entries()) {
      const headers = { 'idempotency-key': `key-${i}-${n}` };
      const answer = await again.send('POST', '/api/v1/events', event, headers);
      const found = JSON.parse(answer.text).seq;
      if (seq !== undefined && found !== seq) t.fail(`key-${i}-${n}: ${seq}, then ${found}`);
      seen.add(found);
    }
  }
  t.equal(seen.size, 200 * THREADS, 'each key stands for one event');
});

t.test('what it counted stays counted, what it held is free', async (t) => {
  const threads = new ServiceThreads(t);
  const { port } = await start(t, { HTTP_MAX_CONNECTIONS: '12' });
  const all = await connected(t, port);
  for (const connection of all)
    for (let i = 0; i < 5; i++) await connection.send('GET', '/api/v1/products/none');
  const labels = { method: 'GET', route: '/api/v1/products/:id', status: '404' };
  /** All of them are counted, and no more; a thread that tells late what it has counted is asked again. */
  const areCounted = async () => {
    let count: number | undefined;
    const isSo = async () => {
      const figures = await scrape(port).catch(() => undefined);
      count = figures?.value('product_service_http_requests_total', labels);
      return Number(count) >= 5 * THREADS || undefined;
    };
    await polled(isSo, WAIT_MS_MAX, 'all requests to be counted');
    t.equal(count, 5 * THREADS);
  };
  await areCounted();
  for (const [i, thread] of [...threads.http].entries()) {
    await thread.terminate();
    await replaced(t, port, i + 1);
    await areCounted();
  }
});

t.test('one that hangs holds up neither the others nor the end', async (t) => {
  const threads = new ServiceThreads(t);
  const { port, service } = await start(
    t,
    { SHUTDOWN_TIMEOUT: '3s', STALL_TIMEOUT: '10m' },
    HANGING,
  );
  const connections = await connectToAll(t, port, THREADS);
  const words = new Int32Array(new SharedArrayBuffer(4));
  threads.http[0]?.postMessage(words.buffer);
  await polled(() => Atomics.load(words, 0) || undefined, WAIT_MS_MAX, 'the thread to hang');
  const answering = new Set<ThreadConnection>();
  const asked = connections.map(async (connection) => {
    await connection.send('GET', '/livez').catch(() => undefined);
    if (service.phase === 'ready') answering.add(connection);
  });
  const areTwo = () => (answering.size === 2 ? true : undefined);
  await polled(areTwo, WAIT_MS_MAX, 'the others to answer');
  const others = [...answering];
  for (const [i, other] of others.entries()) {
    const event = { product_id: `p${i}`, price: 1, stock: 1 };
    t.equal((await other.send('POST', '/api/v1/events', event)).status, 202);
    t.equal((await other.send('GET', '/metrics')).status, 200, 'a scrape does not wait for it');
  }
  t.equal(await bounded(service.stop(), WAIT_MS_MAX, 'the end'), false, 'and it was no clean one');
  await Promise.all(asked);
  t.equal(answering.size, 2, 'the third never answered');
});

t.test('one that hangs is ended and replaced', async (t) => {
  const threads = new ServiceThreads(t);
  // No other thread is to stand still for so long.
  const { port, service, logged } = await start(t, { STALL_TIMEOUT: '6s' }, HANGING);
  const connections = await connectToAll(t, port, THREADS);
  const event = { product_id: 'p', price: 1, stock: 1 };
  // Of each thread something is known.
  for (const connection of connections) await connection.send('POST', '/api/v1/events', event);
  const words = new Int32Array(new SharedArrayBuffer(4));
  threads.http[1]?.postMessage(words.buffer);
  await polled(() => Atomics.load(words, 0) || undefined, WAIT_MS_MAX, 'the thread to hang');
  const answers = connections.map((connection, i) => {
    const headers = { 'idempotency-key': `of-${i}` };
    return connection.send('POST', '/api/v1/events', event, headers).then(
      ({ status }) => String(status),
      ({ code }) => String(code),
    );
  });
  const all = await Promise.all(answers);
  t.strictSame(all.toSorted(), ['202', '202', 'ECONNRESET'], 'who waited sees a closed connection');
  await replaced(t, port, 1);
  const [again] = await connectToAll(t, port, THREADS);
  const headers = { 'idempotency-key': `of-${all.indexOf('ECONNRESET')}` };
  const { status } = await again.send('POST', '/api/v1/events', event, headers);
  t.equal(status, 202, 'and may try again');
  const hangs = { thread: 'http' };
  const hung = async () => {
    const figures = await scrape(port).catch(() => undefined);
    return figures?.value('product_service_thread_hangs_total', hangs);
  };
  t.equal(await polled(hung, WAIT_MS_MAX, 'the metrics'), 1);
  const checks = JSON.parse((await again.send('GET', '/readyz?verbose')).text);
  t.match(checks, { status: 'ready' });
  t.ok(
    checks.checks.some(
      ({ name, state }: Record<string, string>) => name === 'http' && state === 'serving',
    ),
  );
  const said = logged.map(({ msg }) => msg);
  t.ok(said.includes('watchdog: http-2 makes no progress'));
  const died = logged.filter(({ msg }) => msg === 'http thread died');
  t.match(died, [
    { thread: 'http-2', err: { message: /^it made no progress for \d+ ms, and was ended$/ } },
  ]);
  t.equal(service.phase, 'ready');
});

t.test('one that fails to open is replaced', async (t) => {
  const { port, logged } = await start(t, {}, CLOSED);
  await replaced(t, port, THREADS - 1);
  for (const connection of await connectToAll(t, port, THREADS)) {
    const event = { product_id: 'p', price: 1, stock: 1 };
    t.equal((await connection.send('POST', '/api/v1/events', event)).status, 202);
  }
  const died = logged.filter(({ msg }) => msg === 'http thread died');
  const err = { message: /^it did not open: it has no room/ };
  t.match(
    died.toSorted((a, b) => String(a.thread).localeCompare(String(b.thread))),
    [
      { thread: 'http-1', err },
      { thread: 'http-2', err },
    ],
  );
});

t.test('threads that die again and again stop the process', async (t) => {
  const threads = new ServiceThreads(t);
  const { service } = await start(t);
  const failed = service.failed;
  const killed = new Set<unknown>();
  const kill = setInterval(() => {
    const [next] = threads.http.filter((thread) => !killed.has(thread));
    killed.add(next);
    void next?.terminate();
  }, 20);
  t.teardown(() => clearInterval(kill));
  t.match(
    await bounded(failed, WAIT_MS_MAX, 'the service to give up'),
    /died 5 times within a minute/,
  );
});
