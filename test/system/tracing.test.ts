/** Traces as a collector gets them from the real process: what is in them, what is sampled, what a fault does. */
import t, { type Test } from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { lines, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { TraceCollector } from './trace-collector.ts';

const SMALL = { MAX_MEMORY_USAGE: '16MB', WORKERS: '1', SHARDS: '2' };
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const SAMPLED = `00-${TRACE}-${CALLER}-01`;

async function traced(t: Test, more: Readonly<Record<string, string>> = {}) {
  const collector = await TraceCollector.start(t);
  const env = {
    ...SMALL,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    ...more,
  };
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
  const port = await service.ready();
  const ask = async (path: string, traceparent?: string, body?: object) => {
    const headers = {
      'x-request-id': path.split('?')[0].replaceAll(/\W/g, '-'),
      ...(traceparent === undefined ? {} : { traceparent, tracestate: 'vendor=x' }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const init =
      body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, init);
    await answer.arrayBuffer();
    return answer;
  };
  return { collector, service, port, ask };
}

t.test('a write: its request, its way to the disk, its way to the readers', async (t) => {
  const { collector, service, ask } = await traced(t, {
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=of-the-collector',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
  });
  const event = { product_id: 'p', price: 1, stock: 1 };
  const answer = await ask('/api/v1/events?ack=durable', SAMPLED, event);
  t.equal(answer.status, 202);
  const request = await collector.span('the request', ({ name }) => name === 'POST /api/v1/events');
  t.match(request, {
    traceId: TRACE,
    parentId: CALLER,
    traceState: 'vendor=x',
    kind: 2,
    status: 0,
    links: [],
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/api/v1/events',
      'http.response.status_code': 202,
      'url.path': '/api/v1/events',
      'client.address': '127.0.0.1',
      'product_service.request_id': '-api-v1-events',
    },
    resource: {
      'service.name': 'product-service',
      'service.version': /^\d+\.\d+\.\d+$/,
      'deployment.environment': 'test',
    },
  });
  t.equal(answer.headers.get('traceresponse'), `00-${TRACE}-${request.spanId}-01`);
  const isOfIt = (name: string) =>
    collector.span(name, (span) => span.name === name && span.traceId === TRACE);
  const commit = await isOfIt('event commit');
  t.match(commit, { parentId: request.spanId, kind: 1, attributes: { 'product_service.seq': 1 } });
  t.equal(commit.attributes['product_service.replayed'], false);
  const apply = await isOfIt('frame apply');
  t.match(apply, { parentId: request.spanId, attributes: { 'product_service.seq': 1 }, links: [] });
  for (const { startNs, endNs, name } of [request, commit, apply]) t.ok(startNs <= endNs, name);
  t.ok(
    request.startNs <= commit.startNs && commit.endNs <= request.endNs,
    'one lies within the other',
  );
  t.ok(commit.endNs <= apply.startNs, 'the other behind it');
  t.match(collector.requests[0], {
    url: '/v1/traces',
    headers: { 'x-key': 'of-the-collector', 'content-type': 'application/x-protobuf' },
  });
  t.strictSame(await service.stop(), { code: 0, signal: null });
});

t.test('reads, refusals and strangers; what is recorded last is sent at the stop', async (t) => {
  const { collector, service, ask } = await traced(t, {
    OTEL_SERVICE_NAME: 'prices',
    OTEL_BSP_SCHEDULE_DELAY: '600000',
  });
  await ask('/api/v1/products/none?view=full', SAMPLED);
  await ask('/nowhere?access_token=hunter2', `${SAMPLED}, ${SAMPLED}`);
  await ask('/livez');
  t.strictSame(collector.spans, []);
  t.strictSame(await service.stop(), { code: 0, signal: null });
  const shown = collector.spans.map(({ name, attributes, traceId }) => [
    name,
    attributes['http.response.status_code'],
    traceId === TRACE,
  ]);
  t.strictSame(shown, [
    ['GET /api/v1/products/:id', 404, true],
    ['GET', 404, false],
    ['GET /livez', 200, false],
  ]);
  t.notMatch(
    JSON.stringify(collector.spans, (_, value) => (typeof value === 'bigint' ? 0 : value)),
    'hunter2',
  );
  t.equal(collector.spans[0]?.resource['service.name'], 'prices');
});

t.test(
  'events that share a flush have one span for what comes behind it, with links',
  async (t) => {
    const { collector, port, ask } = await traced(t);
    const client = new ApiClient(port);
    t.teardown(() => client.close());
    let seen = 0;
    // Until two of them met in one frame, which is up to the disk.
    for (let round = 0; seen === 0 && round < 200; round++) {
      const event = (i: number) => ({ product_id: `p${i}`, price: 1, stock: 1 });
      await Promise.all(
        Array.from({ length: 20 }, (_, i) => ask('/api/v1/events', undefined, event(i))),
      );
      seen = collector.spans.filter(({ links }) => links.length > 0).length;
    }
    const apply = await collector.span('one with links', ({ links }) => links.length > 0);
    t.equal(apply.name, 'frame apply');
    t.equal(apply.attributes['product_service.sampled_events'], apply.links.length + 1);
    for (const { spanId, traceId } of apply.links) {
      const linked = await collector.span('the linked one', (span) => span.spanId === spanId);
      t.match(linked, { traceId, name: 'POST /api/v1/events' });
    }
  },
);

t.test('a batch: its way to the disk, and on to the readers, once for all of it', async (t) => {
  const { collector, service, port } = await traced(t);
  const json = (key: string) => ({ traceparent: SAMPLED, 'idempotency-key': key });
  for (const [round, query] of [
    '?ack=durable',
    '?ack=accepted',
    '?on_error=continue&ack=applied',
  ].entries()) {
    const key = `round-${round}`;
    const body = `${lines(5000, round)}${round < 2 ? '' : '{}\n'}`;
    const answer = await sendBatch(port, body, { query, headers: json(key) });
    t.ok(answer.status < 300, `${answer.status} ${query}`);
    const context = answer.headers.traceresponse;
    const isOfIt = (name: string) =>
      collector.span(
        `${name} of ${query}`,
        (span) => span.name === name && context === `00-${TRACE}-${span.parentId}-01`,
      );
    const commit = await isOfIt('batch commit');
    t.match(commit, {
      traceId: TRACE,
      kind: 1,
      status: 0,
      attributes: {
        'product_service.accepted_events': 5000,
        'product_service.replayed_events': 0,
      },
    });
    const { 'product_service.first_seq': first, 'product_service.seq': last } = commit.attributes;
    // Receipts of a batch under a key have numbers, too.
    t.ok(Number(last) - Number(first) >= 4999);
    const { first_seq, last_seq } = answer.body;
    if (round !== 1) t.strictSame([first, last], [first_seq, last_seq], 'as the answer says');
    const apply = await isOfIt('frame apply');
    t.match(apply.attributes, {
      'product_service.seq': last,
      'product_service.sampled_events': 1,
    });
    const request = await collector.span('it', ({ spanId }) => spanId === commit.parentId);
    t.equal(request.name, 'POST /api/v1/events/batch');
    t.ok(request.startNs <= commit.startNs && commit.startNs <= commit.endNs);
    if (round !== 1) t.ok(commit.endNs <= request.endNs, 'the answer waited for it');
    t.ok(commit.endNs <= apply.startNs);
  }
  const again = await sendBatch(port, lines(5000), { headers: json('round-0') });
  t.equal(again.headers['idempotency-replayed'], 'true');
  await sendBatch(port, 'nothing\n', { headers: { traceparent: SAMPLED } });
  t.strictSame(await service.stop(), { code: 0, signal: null });
  const commits = collector.spans.filter(({ name }) => name === 'batch commit');
  t.equal(commits.length, 3, 'none for what was never queued');
});

t.test('who is sampled', async (t) => {
  const byCaller = await traced(t, { OTEL_TRACES_SAMPLER: 'parentbased_always_off' });
  const silent = await byCaller.ask('/livez');
  t.equal(silent.headers.get('traceresponse'), null);
  await byCaller.ask('/livez', SAMPLED.replace(/1$/, '0'));
  await byCaller.ask('/livez', SAMPLED);
  await byCaller.service.stop();
  t.equal(byCaller.collector.spans.length, 1, 'as the caller says');

  const none = await traced(t, {
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0',
  });
  await none.ask('/livez', SAMPLED);
  await none.service.stop();
  t.equal(none.collector.spans.length, 0);
});

t.test('a collector that fails holds nothing up, and a line says so', async (t) => {
  const { collector, service, port, ask } = await traced(t, { OTEL_EXPORTER_OTLP_TIMEOUT: '200' });
  collector.status = 400;
  for (let i = 0; i < 3; i++) {
    const answer = await ask('/api/v1/events', SAMPLED, { product_id: 'p', price: i, stock: 1 });
    t.equal(answer.status, 202);
  }
  t.equal((await sendBatch(port, lines(100))).status, 202);
  t.match(await service.logged('tracing: not all is exported'), { level: 40 });
  t.strictSame(await service.stop(), { code: 0, signal: null });
});

t.test('a wrong variable stops the start with one line', async (t) => {
  const env = { ...SMALL, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_SAMPLER: 'some' };
  const service = ServiceProcess.spawn(t, { cwd: tempDir(t), env });
  t.strictSame(await service.exit(), { code: 2, signal: null });
  t.match(service.stderr, /^product-service: OTEL_TRACES_SAMPLER="some" must be .*\n$/);
});
