/** HTTP/2: the same service as over HTTP/1.1, on real connections. (Over 300 lines: one list of behaviours over one server.) */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { constants } from 'node:http2';
import { Agent, request } from 'node:https';
import t, { type Test } from 'tap';
import { ConnectionDrain } from '../../src/http/connection/drain.ts';
import type { HttpLimits } from '../../src/http/connection/server.ts';
import { loadTls } from '../../src/http/connection/tls-files.ts';
import { createMetering } from '../../src/http/metering/metering.ts';
import { MetricsRegistry } from '../../src/metrics/registry.ts';
import { bounded, polled } from '../helpers/bounded.ts';
import { Certificates } from '../helpers/certificates.ts';
import { Http2Client, type StreamReset } from '../helpers/clients/http2-client.ts';
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  Http2Frames,
  headerBlock,
  requestBlock,
} from '../helpers/clients/http2-frames.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { fakeApp, NO_BATCHES, TEST_LIMITS } from '../helpers/fakes/http-fakes.ts';

const WAIT_MS_MAX = 60_000;
const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants;
const JSON_POST = { ':method': 'POST', 'content-type': 'application/json' };

const certificates = new Certificates(tempDir(t));
certificates.make('first');
certificates.install('first');
const { TLS_CERT: certPath, TLS_KEY: keyPath } = certificates.env;
const tls = loadTls({ certPath, keyPath });

async function listening(t: Test, overrides: Parameters<typeof fakeApp>[0] = {}) {
  const metering = createMetering(new MetricsRegistry(), NO_BATCHES, { phase: 'ready' });
  const fakes = fakeApp({ tls, metering, ...overrides });
  const { server } = fakes.app;
  const drain = new ConnectionDrain(server);
  await fakes.app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = server.address() as { port: number };
  t.teardown(async () => {
    server.closeAllConnections();
    await fakes.app.close();
  });
  const connect = () => Http2Client.open(t, port);
  return { ...fakes, server, drain, port, connect, meter: metering.meter };
}

const limited = (limits: Partial<HttpLimits>) => ({ limits: { ...TEST_LIMITS, ...limits } });
const resetOf = (answered: Promise<unknown>) =>
  answered.then(
    () => t.fail('it was answered'),
    (error: StreamReset) => error,
  ) as Promise<StreamReset>;

t.test('writes, reads, refusals and problems are those of HTTP/1.1', async (t) => {
  const { connect, products } = await listening(t);
  products.put('a', 7, 1.5, 2);
  const client = await connect();
  const posted = await client.post({ product_id: 'p', price: 1, stock: 2 });
  t.equal(posted.status, 202);
  t.match(posted.headers, { location: '/api/v1/events/1', 'x-content-type-options': 'nosniff' });
  t.match(posted.headers['x-request-id'], /./);

  const got = await client.ask('/api/v1/products/a', { 'x-request-id': 'mine' });
  t.match(got, { status: 200, text: '{"id":"a","price":1.5,"stock":2}' });
  t.match(got.headers, { etag: '"7"', 'x-request-id': 'mine' });
  const same = await client.ask('/api/v1/products/a', { 'if-none-match': '"7"' });
  t.match(same, { status: 304, text: '' });
  const head = await client.ask('/api/v1/products/a', { ':method': 'HEAD' });
  t.match(head, { status: 200, text: '' });
  t.equal(head.headers['content-length'], got.headers['content-length']);

  const problems: readonly [status: number, code: string, answer: Promise<{ text: string }>][] = [
    [404, 'route-not-found', client.ask('/nothing')],
    [404, 'product-not-found', client.ask('/api/v1/products/b')],
    [405, 'method-not-allowed', client.ask('/health', { ':method': 'DELETE' })],
    [400, 'bad-request', client.ask('/%ff')],
    [400, 'invalid-event', client.post({ product_id: 'p', price: '1', stock: 2 })],
    [415, 'unsupported-media-type', client.post({}, '', { 'content-type': 'text/plain' })],
    [413, 'body-too-large', client.post({ product_id: 'x'.repeat(2 * TEST_LIMITS.bodyBytesMax) })],
    [417, 'expectation-failed', client.post({}, '', { expect: 'miracles' })],
    [400, 'bad-request', client.ask('/health', { ':authority': 'here', host: 'elsewhere' })],
    [400, 'bad-request', client.ask('/health', { 'content-type': ['a/b', 'c/d'] as never })],
  ];
  for (const [status, code, answer] of problems) {
    t.match(await answer, { status, headers: { 'content-type': 'application/problem+json' } });
    t.equal(JSON.parse((await answer).text).code, code);
  }
  t.equal((await client.ask('/health')).status, 200, 'the connection goes on');
});

t.test('who agrees to nothing else speaks HTTP/1.1 on the same port', async (t) => {
  const { port, meter } = await listening(t);
  const agent = new Agent({ rejectUnauthorized: false });
  t.teardown(() => agent.destroy());
  const call = request({ host: '127.0.0.1', port, path: '/health', agent }).end();
  const [response] = await once(call, 'response');
  response.resume();
  t.strictSame([response.statusCode, response.httpVersion], [200, '1.1']);
  await once(response, 'end');
  t.equal(meter.connectionsAccepted, 1);
});

t.test('pages of other origins are answered', async (t) => {
  const { connect } = await listening(t, { corsOrigins: ['https://shop.example'] });
  const client = await connect();
  const origin = 'https://shop.example';
  const asking = { ':method': 'OPTIONS', origin, 'access-control-request-method': 'POST' };
  const preflight = await client.ask('/api/v1/events', asking);
  t.match(preflight, { status: 204, text: '' });
  t.match(preflight.headers, { 'access-control-allow-origin': origin, vary: 'origin' });
  const missing = await client.ask('/api/v1/products/a', { origin });
  t.match(missing, { status: 404, headers: { 'access-control-allow-origin': origin } });
  const page = await client.ask('/api/v1/products', { origin });
  t.equal(page.headers.vary, 'accept, accept-encoding, origin');
});

t.test('each answer is counted once, whoever ends it', async (t) => {
  const { connect, intake, meter } = await listening(t);
  const client = await connect();
  await client.ask('/health');
  await client.ask('/nothing');
  await client.post({}, '', { expect: 'miracles' });
  intake.autoDurable = false;
  const offered = intake.nextOffer();
  const { stream, answered } = client.begin('/api/v1/events', JSON_POST);
  stream.end('{"product_id":"p","price":1,"stock":2}');
  const { waiter } = await offered;
  t.equal(meter.inFlight, 1);
  stream.close(NGHTTP2_CANCEL);
  await resetOf(answered);
  await polled(() => meter.inFlight === 0 || undefined, WAIT_MS_MAX, 'the stream to be gone');
  waiter?.durable(1);
  t.equal(meter.aborted, 1);
  const counts = meter.routes.flatMap((route) => {
    const seen: [string, number, number][] = [];
    meter.eachStatus(route, (status, count) => seen.push([route.labels.route, status, count]));
    return seen;
  });
  t.strictSame(counts.toSorted(), [
    ['/health', 200, 1],
    ['unrouted', 404, 1],
    ['unrouted', 417, 1],
  ]);
  t.equal(meter.connections, 1);
});

t.test('asks for a body that waits to be asked, and refuses one unseen', async (t) => {
  const { connect, intake } = await listening(t);
  const client = await connect();
  const text = '{"product_id":"p","price":1,"stock":2}';
  const expecting = { ...JSON_POST, expect: '100-continue' };
  const taken = client.begin('/api/v1/events', expecting);
  await bounded(once(taken.stream, 'continue'), WAIT_MS_MAX, '100 Continue');
  taken.stream.end(text);
  t.equal((await taken.answered).status, 202);

  const refused = client.begin('/api/v1/events', { ...expecting, 'content-type': 'text/plain' });
  refused.stream.on('continue', () => t.fail('it was asked for its body'));
  t.equal((await refused.answered).status, 415);
  t.equal(intake.offers.length, 1);
});

t.test('a body that does not come is answered with 408, and the others go on', async (t) => {
  const { connect, intake } = await listening(
    t,
    limited({ headersTimeoutMs: 100, requestTimeoutMs: 100 }),
  );
  // Where the machine stands still for so long, what comes in time is late, too: once more then.
  const isSo = async () => {
    const client = await connect();
    const before = intake.offers.length;
    const slow = client.begin('/api/v1/events', JSON_POST);
    slow.stream.write('{"product_id":');
    const answer = await slow.answered.catch(() => undefined);
    if (answer === undefined) return undefined;
    t.equal(answer.status, 408);
    t.equal(JSON.parse(answer.text).code, 'request-timeout');
    t.equal(intake.offers.length, before);
    const other = client.post({ product_id: 'p', price: 1, stock: 2 });
    return (await other.catch(() => undefined))?.status === 202 || undefined;
  };
  await polled(isSo, WAIT_MS_MAX, 'the others to go on');
});

t.test('connections without a request are closed in their time', async (t) => {
  const { connect, port, meter } = await listening(
    t,
    limited({ headersTimeoutMs: 60, keepAliveTimeoutMs: 50 }),
  );
  const silent = await connect();
  await bounded(silent.closed, WAIT_MS_MAX, 'the end of a silent one');
  t.equal(silent.lastServed, 0);
  await Http2Frames.open(t, port, true);
  const none = () => meter.connections === 0 || undefined;
  await polled(none, WAIT_MS_MAX, 'the end of one that does not close its half');
  const dribbling = await Http2Frames.open(t, port);
  dribbling.send(FRAME.headers, 0, 1, requestBlock('GET', '/health', {}));
  const more = setInterval(() => {
    dribbling.send(FRAME.continuation, 0, 1, headerBlock({ x: 'y' }));
  }, 20);
  t.teardown(() => clearInterval(more));
  await bounded(dribbling.closed, WAIT_MS_MAX, 'the end of headers without end');
  clearInterval(more);
  // In so short a time a thread that stands still asks nothing.
  const asked = async () => {
    const client = await connect();
    const answer = await client.ask('/health').catch(() => undefined);
    return answer?.status === 200 ? client : undefined;
  };
  const idle = await polled(asked, WAIT_MS_MAX, 'an answer in time');
  const pinging = setInterval(() => idle.session.ping(() => undefined), 10);
  t.teardown(() => clearInterval(pinging));
  await bounded(idle.closed, WAIT_MS_MAX, 'the end of one that only pings');
  clearInterval(pinging);
});

t.test('streams beyond the limit are refused unseen, and counted', async (t) => {
  const { connect, intake, meter } = await listening(t, limited({ httpConnectionsMax: 3 }));
  intake.autoDurable = false;
  const clients = [await connect(), await connect()];
  const text = '{"product_id":"p","price":1,"stock":2}';
  const held = [];
  for (const client of [clients[0], clients[0], clients[1]]) {
    const offered = intake.nextOffer();
    held.push(client.ask('/api/v1/events', JSON_POST, text));
    await offered;
  }
  const refused = await resetOf(clients[1].ask('/health'));
  t.equal(refused.code, NGHTTP2_REFUSED_STREAM);
  t.equal(meter.connectionsDropped, 1);
  for (const [i, { waiter }] of intake.offers.entries()) waiter?.durable(i + 1);
  for (const answer of held) t.equal((await answer).status, 202);
  t.equal((await clients[1].ask('/health')).status, 200);
});

t.test('a client that gives up in its body has sent no event', async (t) => {
  const { port, intake, meter } = await listening(t);
  const post = requestBlock('POST', '/api/v1/events', { 'content-type': 'application/json' });
  const body = Buffer.from('{"product_id":"p","price":1,"stock":2}');
  const ends: readonly ((client: Http2Frames) => void)[] = [
    (client) => client.send(FRAME.reset, 0, 1, Buffer.from([0, 0, 0, constants.NGHTTP2_NO_ERROR])),
    (client) => client.send(FRAME.reset, 0, 1, Buffer.from([0, 0, 0, NGHTTP2_CANCEL])),
    (client) => client.socket.end(),
    (client) => client.socket.destroy(),
  ];
  for (const end of ends) {
    const client = await Http2Frames.open(t, port);
    client.send(FRAME.headers, END_HEADERS, 1, post);
    client.send(FRAME.data, 0, 1, body);
    await polled(() => meter.inFlight === 1 || undefined, WAIT_MS_MAX, 'the request');
    end(client);
    await polled(() => meter.inFlight === 0 || undefined, WAIT_MS_MAX, 'the end of the request');
  }
  t.equal(intake.offers.length, 0);
  t.equal(meter.aborted, ends.length);
  const whole = await Http2Frames.open(t, port);
  whole.send(FRAME.headers, END_HEADERS, 1, post);
  whole.send(FRAME.data, END_STREAM, 1, body);
  await polled(() => intake.offers.length === 1 || undefined, WAIT_MS_MAX, 'the event');
});

t.test('a stop answers what is in flight and says which is the last', async (t) => {
  const { connect, drain, intake } = await listening(t);
  intake.autoDurable = false;
  const busy = await connect();
  const idle = await connect();
  const offered = intake.nextOffer();
  const answered = busy.post({ product_id: 'p', price: 1, stock: 2 });
  const { waiter } = await offered;
  await drain.beginDrain();
  const drained = drain.drained({ idleMs: 10, timeoutMs: WAIT_MS_MAX });
  await bounded(idle.closed, WAIT_MS_MAX, 'the end of the idle one');
  await polled(() => busy.lastServed, WAIT_MS_MAX, 'the goodbye');
  t.equal(busy.lastServed, 1);
  waiter?.durable(5);
  t.match(await answered, { status: 202, text: /"seq":5/ });
  await bounded(busy.closed, WAIT_MS_MAX, 'the end of the busy one');
  t.equal(await drained, 'closed');
});

t.test('an answer that its client does not take is cut off alone', async (t) => {
  const { app, port } = await listening(t, limited({ answerTimeoutMs: 500 }));
  const client = await Http2Client.open(t, port, { settings: { initialWindowSize: 100 } });
  // Few bytes are taken, and the others of the same connection are all the same.
  const document = client.begin('/openapi.json');
  document.stream.end();
  await once(document.stream, 'response');
  document.stream.pause();
  const ended = resetOf(document.answered);
  const pinging = setInterval(() => void client.ask('/health').catch(() => undefined), 100);
  t.teardown(() => clearInterval(pinging));
  const other = client.begin('/api/v1/events', JSON_POST);
  t.equal((await ended).code, NGHTTP2_CANCEL);
  clearInterval(pinging);
  other.stream.end('{"product_id":"p","price":1,"stock":2}');
  t.equal((await other.answered).status, 202);
  t.ok(app.server.listening);
});

t.test('long paths and headers: taken up to the limits, then refused', async (t) => {
  const { port } = await listening(t);
  const connect = () => Http2Client.open(t, port, { maxSendHeaderBlockLength: 1 << 20 });
  const client = await connect();
  const path = `/api/v1/products?${'id=x&'.repeat(12_000)}id=x`;
  t.equal((await client.ask(path)).status, 400, 'more than 1,000 ids, but it was read');
  const header = 'x'.repeat(30_000);
  t.equal((await client.ask('/health', { a: header, b: header, c: header })).status, 200);
  const refused = await client.ask('/health', { a: header, b: header, c: header, d: header });
  t.equal(refused.status, 431);
  t.equal(JSON.parse(refused.text).code, 'headers-too-large');
  t.equal((await client.ask('/health')).status, 200, 'the connection goes on');
  const endless = client.ask('/health', { a: header.repeat(4), b: header.repeat(4) });
  t.equal((await resetOf(endless)).status, undefined, 'no answer');
  t.equal((await (await connect()).ask('/health')).status, 200, 'others go on');
});

t.test('floods end their own connection', async (t) => {
  const { port, connect, meter } = await listening(t);
  const get = requestBlock('GET', '/health', {});
  const floods: Record<string, (client: Http2Frames, i: number) => void> = {
    'streams reset at once': (client, i) => {
      client.send(FRAME.headers, END_HEADERS, 2 * i + 1, get);
      client.send(FRAME.reset, 0, 2 * i + 1, Buffer.from([0, 0, 0, NGHTTP2_CANCEL]));
    },
    'headers without end': (client) => {
      client.send(FRAME.headers, 0, 1, get);
      client.send(FRAME.continuation, 0, 1, Buffer.alloc(16_000));
    },
  };
  for (const [name, send] of Object.entries(floods)) {
    const client = await Http2Frames.open(t, port);
    let isClosed = false;
    void client.closed.then(() => {
      isClosed = true;
    });
    for (let i = 0; i < 100_000 && !isClosed; i++) {
      send(client, i);
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    await bounded(client.closed, WAIT_MS_MAX, `the end of ${name}`);
    t.equal((await (await connect()).ask('/health')).status, 200, name);
  }
  await polled(() => meter.inFlight === 0 || undefined, WAIT_MS_MAX, 'nothing to be left');
});

t.test('plain HTTP/2 without TLS is not spoken', async (t) => {
  const fakes = fakeApp();
  await fakes.app.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(() => fakes.app.close());
  t.ok(fakes.app.server instanceof createServer().constructor);
});
