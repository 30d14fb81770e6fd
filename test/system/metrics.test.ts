/**
 * What /metrics of a whole service says after known requests, and that docs/metrics.md tells of it all.
 * (Over 300 lines: the first case follows all figures through one life of a service.)
 */
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { inOrder, withMetricsTable } from '../helpers/api/metrics-page.ts';
import { polled } from '../helpers/bounded.ts';
import { sendBatch } from '../helpers/clients/batch-client.ts';
import { type Scrape, scrape } from '../helpers/clients/metrics-client.ts';
import { RawClient } from '../helpers/clients/raw-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import {
  DEADLY_ALWAYS,
  DEADLY_APPLIER,
  DEADLY_ONCE,
  installDeaths,
} from '../helpers/threads/deadly-prices.ts';
import { ServiceThreads } from '../helpers/threads/service-threads.ts';

const P = 'product_service_';
const WAIT_MS_MAX = 60_000;
const JSON_HEADERS = { 'content-type': 'application/json' };

type Values = Readonly<Record<string, number | undefined>>;

async function post(port: number, body: object, query = '', headers = {}): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/events${query}`, {
    method: 'POST',
    headers: { ...JSON_HEADERS, ...headers },
    body: JSON.stringify(body),
  });
  await answer.arrayBuffer();
  return answer.status;
}

function ndjson(events: readonly object[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}

/** Series by what PromQL would call them. */
function valuesOf(scraped: Scrape, names: readonly string[]): Values {
  return Object.fromEntries(
    names.map((name) => {
      const [, family = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(name) ?? [];
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]);
      return [name, scraped.value(P + family, Object.fromEntries(pairs))];
    }),
  );
}

/** Scrapes until the series have these values: other threads count a moment after they answer. */
async function holds(t: Test, port: number, wanted: Values): Promise<Scrape> {
  let last: Values = {};
  const ask = async () => {
    const scraped = await scrape(port);
    last = valuesOf(scraped, Object.keys(wanted));
    const isSo = Object.entries(wanted).every(([name, value]) => last[name] === value);
    return isSo ? scraped : undefined;
  };
  const scraped = await polled(ask, WAIT_MS_MAX, 'the figures').catch(() => scrape(port));
  t.strictSame(last, wanted);
  return scraped;
}

/** Waits until a series is above 0. */
async function isCounted(port: number, name: string, labels = {}): Promise<void> {
  const ask = async () => ((await scrape(port)).value(name, labels) ?? 0) > 0 || undefined;
  await polled(ask, WAIT_MS_MAX, `${name} ${JSON.stringify(labels)}`);
}

t.test('after known requests', async (t) => {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const base = `http://127.0.0.1:${port}`;
  await holds(t, port, {
    'http_requests_total{route="/api/v1/events"}': undefined,
    'events_accepted_total{way="single"}': 0,
    'event_outcomes_total{outcome="applied"}': 0,
    http_requests_in_flight: 1,
  });

  const at = '2024-05-01T00:00:00Z';
  const event = { product_id: 'a', price: 1, stock: 2, occurred_at: at };
  t.equal(await post(port, event), 202);
  t.equal(await post(port, { ...event, occurred_at: '2024-04-01T00:00:00Z' }, '?ack=applied'), 200);
  t.equal(await post(port, event, '', { 'idempotency-key': 'k' }), 202);
  t.equal(await post(port, event, '', { 'idempotency-key': 'k' }), 202);
  t.equal(await post(port, { ...event, stock: 3 }, '', { 'idempotency-key': 'k' }), 422);
  t.equal(await post(port, event, '?ack=applied', { 'if-match': '"99"' }), 412);
  t.equal(await post(port, { product_id: 'a' }), 400);
  t.equal(await post(port, event, '?ack=never'), 400);
  const batch = ndjson([
    { product_id: 'b', price: 1, stock: 1, event_id: 'e' },
    { product_id: 'b', price: 1, stock: 1, event_id: 'e' },
    { product_id: 'c', price: 1, stock: 1 },
    { product_id: 'c' },
  ]);
  t.equal((await sendBatch(port, batch, { query: '?on_error=continue&ack=applied' })).status, 207);
  for (const id of ['a', 'a', 'nobody']) {
    await (await fetch(`${base}/api/v1/products/${id}`)).arrayBuffer();
  }
  await (await fetch(`${base}/api/v1/products/a`, { method: 'HEAD' })).arrayBuffer();
  await (await fetch(`${base}/nowhere`)).arrayBuffer();
  await (await fetch(`${base}/health`, { method: 'POST' })).arrayBuffer();
  const raw = await RawClient.connect(port);
  raw.send('NONSENSE\r\n\r\n');
  await raw.end();
  raw.close();
  const hostless = await RawClient.connect(port);
  hostless.send('GET /health HTTP/1.1\r\nconnection: close\r\n\r\n');
  await hostless.end();
  hostless.close();

  const scraped = await holds(t, port, {
    'http_requests_total{method="POST",route="/api/v1/events",status="202"}': 3,
    'http_requests_total{method="POST",route="/api/v1/events",status="200"}': 1,
    'http_requests_total{method="POST",route="/api/v1/events",status="422"}': 1,
    'http_requests_total{method="POST",route="/api/v1/events",status="412"}': 1,
    'http_requests_total{method="POST",route="/api/v1/events",status="400"}': 2,
    'http_requests_total{method="POST",route="/api/v1/events/batch",status="207"}': 1,
    'http_requests_total{method="GET",route="/api/v1/products/:id",status="200"}': 2,
    'http_requests_total{method="GET",route="/api/v1/products/:id",status="404"}': 1,
    'http_requests_total{method="HEAD",route="/api/v1/products/:id",status="200"}': 1,
    'http_requests_total{method="any",route="unrouted",status="404"}': 1,
    'http_requests_total{method="any",route="unrouted",status="405"}': 1,
    'http_requests_total{method="any",route="unrouted",status="400"}': 2,
    'http_request_duration_seconds_count{route="/api/v1/events"}': 8,
    'http_request_duration_seconds_bucket{route="/api/v1/events",le="+Inf"}': 8,
    'http_problems_total{code="idempotency-conflict"}': 1,
    'http_problems_total{code="product-not-found"}': 1,
    'http_problems_total{code="bad-request"}': 2,
    'events_accepted_total{way="single"}': 4,
    'events_accepted_total{way="batch"}': 2,
    'events_duplicate_total{way="single"}': 1,
    'events_duplicate_total{way="batch"}': 1,
    'events_refused_total{way="single",reason="idempotency-conflict"}': 1,
    'events_refused_total{way="single",reason="invalid-event"}': 1,
    'events_refused_total{way="single",reason="invalid-parameter"}': 1,
    'events_refused_total{way="single",reason="precondition-failed"}': undefined,
    'events_refused_total{way="batch",reason="invalid-event"}': 1,
    'event_outcomes_total{outcome="applied"}': 4,
    'event_outcomes_total{outcome="stale"}': 1,
    'event_outcomes_total{outcome="refused"}': 1,
    'event_outcomes_total{outcome="dead"}': 0,
    'event_durable_seconds_count{way="single"}': 6,
    'event_durable_seconds_count{way="batch"}': 3,
    'ring_events{ring="single"}': 0,
    'ring_events{ring="batch"}': 0,
    'ring_events{ring="commit"}': 0,
    'ring_capacity_events{ring="single"}': 1000,
    log_frame_events_sum: 6,
    durable_seq: 6,
    applied_seq: 6,
    store_products: 3,
    log_segments: 1,
    log_failures_total: 0,
    'thread_restarts_total{thread="log"}': 0,
    changes_followers: 0,
    http_requests_aborted_total: 0,
    http_requests_in_flight: 1,
  });
  const frames = scraped.value(`${P}log_flush_duration_seconds_count`) ?? 0;
  t.ok(frames >= 5 && frames <= 6, `${frames} flushes`);
  t.ok((scraped.value(`${P}log_bytes`) ?? 0) > 0);
  t.ok((scraped.value(`${P}disk_free_bytes`) ?? 0) > 0);
  t.ok((scraped.value('process_resident_memory_bytes') ?? 0) > 1e6);
  // These are measured now and then.
  await isCounted(port, `${P}event_applied_seconds_count`);
  for (const thread of ['main', 'log', 'applier-0', 'applier-1']) {
    await isCounted(port, `${P}thread_cpu_seconds_total`, { thread });
  }
  for (const thread of ['log', 'applier-0', 'applier-1']) {
    await isCounted(port, `${P}thread_waiting_seconds_total`, { thread });
  }
  await isDocumented(t, scraped, inOrder(service.metrics?.declared ?? []));
});

/** The page has each metric with its type, labels and sentence, and nothing else. */
async function isDocumented(
  t: Test,
  { families }: Scrape,
  declared: Parameters<typeof withMetricsTable>[1],
): Promise<void> {
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  t.equal(page, withMetricsTable(page, declared), 'run npm run docs:metrics');
  const told = families.map(({ name, type, help }) => ({ name, type, help }));
  t.strictSame(
    told.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    declared.map(({ name, type, help }) => ({ name, type, help })),
  );
  for (const { name, series } of families) {
    const { labels = [] } = declared.find((one) => one.name === name) ?? {};
    for (const one of series) {
      const names = Object.keys(one.labels).filter((label) => label !== 'le');
      t.strictSame(names.toSorted(), labels.toSorted(), one.name);
    }
  }
}

t.test('the form that Accept prefers', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const text = 'text/plain; version=0.0.4; charset=utf-8';
  const open = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
  const prometheus =
    'application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
  for (const [accept, type] of [
    [prometheus, open],
    ['text/plain', text],
    ['*/*', text],
    ['text/html', text],
    ['application/openmetrics-text', open],
  ]) {
    const scraped = await scrape(port, accept);
    t.equal(scraped.contentType, type, accept);
    t.equal(scraped.text.endsWith('\n# EOF\n'), type === open, accept);
  }
});

t.test('clients that go away, and followers', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const follower = await RawClient.connect(port);
  follower.send('GET /api/v1/changes HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n');
  await follower.until(/event: position/);
  const half = await RawClient.connect(port);
  half.send(
    'POST /api/v1/events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{',
  );
  await holds(t, port, {
    changes_followers: 1,
    http_requests_in_flight: 3,
    http_requests_aborted_total: 0,
  });
  follower.close();
  half.close();
  await holds(t, port, {
    changes_followers: 0,
    http_requests_in_flight: 1,
    http_requests_aborted_total: 2,
    'http_requests_total{route="/api/v1/changes"}': undefined,
  });
});

t.test('threads that die: restarts, the dead event, and counters go on', async (t) => {
  installDeaths();
  const threads = new ServiceThreads(t);
  const { port } = await startReadyService(
    t,
    { DATA_DIR: tempDir(t), WORKERS: '1' },
    { threads: { applier: DEADLY_APPLIER } },
  );
  const send = (price: number, query = '?ack=applied') =>
    post(port, { product_id: 'a', price, stock: 1 }, query);
  t.equal(await send(1), 200);
  t.equal(await send(DEADLY_ONCE), 200);
  t.equal(await send(DEADLY_ALWAYS), 500);
  await holds(t, port, {
    'event_outcomes_total{outcome="applied"}': 2,
    'event_outcomes_total{outcome="dead"}': 1,
    'thread_restarts_total{thread="applier"}': 3,
    'events_accepted_total{way="single"}': 3,
    'events_refused_total{way="single",reason="event-dead"}': undefined,
  });
  await threads.killLog();
  t.equal(await send(2), 200);
  await holds(t, port, {
    'event_outcomes_total{outcome="applied"}': 3,
    'thread_restarts_total{thread="log"}': 1,
    'events_accepted_total{way="single"}': 4,
  });
});

t.test('what a start replays is not counted as new', async (t) => {
  const env = { DATA_DIR: tempDir(t) };
  const first = await startReadyService(t, env);
  const events = Array.from({ length: 500 }, (_, i) => ({
    product_id: `p${i}`,
    price: 1,
    stock: 1,
  }));
  t.equal((await sendBatch(first.port, ndjson(events), { query: '?ack=applied' })).status, 200);
  // As a crash leaves it.
  const folder = tempDir(t);
  cpSync(join(env.DATA_DIR, 'log'), join(folder, 'log'), { recursive: true });
  const again = await startReadyService(t, { DATA_DIR: folder });
  await holds(t, again.port, {
    replay_events: 500,
    'event_outcomes_total{outcome="applied"}': 0,
    'events_accepted_total{way="batch"}': 0,
    store_products: 500,
    durable_seq: 500,
  });
  t.ok(((await scrape(again.port)).value(`${P}replay_duration_seconds`) ?? 0) > 0);
});

t.test('METRICS=false: no such route, and nothing is kept for it', async (t) => {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t), METRICS: 'false' });
  t.equal(await post(port, { product_id: 'a', price: 1, stock: 1 }), 202);
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  t.equal(answer.status, 404);
  t.match(await answer.json(), { code: 'route-not-found' });
  t.equal(service.metrics, undefined);
  t.equal(service.path.ages, undefined);
});
