/**
 * What real sockets see: malformed HTTP, slow clients, Host, bodies too large, connections. (Over 300 lines: a list of
 * what a socket may be sent, to the one server at its top.)
 */
import { once } from 'node:events';
import t, { type Test } from 'tap';
import type { HttpLimits } from '../../src/http/connection/server.ts';
import { GET_HEALTH, postEvent, RawClient } from '../helpers/clients/raw-client.ts';
import { fakeApp, TEST_LIMITS } from '../helpers/fakes/http-fakes.ts';

const TRIES = 10;

async function listening(
  t: Test,
  limits: Partial<HttpLimits> = {},
  logLevel: 'debug' | 'info' = 'info',
) {
  const fakes = fakeApp({ limits: { ...TEST_LIMITS, ...limits } }, logLevel);
  await fakes.app.listen({ port: 0, host: '127.0.0.1' });
  const clients: RawClient[] = [];
  t.teardown(async () => {
    for (const client of clients) client.close();
    await fakes.app.close();
  });
  const { port } = fakes.app.server.address() as { port: number };
  const connect = async () => {
    const client = await RawClient.connect(port);
    clients.push(client);
    return client;
  };
  return { ...fakes, connect };
}

/** Its client, once that was not reset: who is refused is read for a second, and a thread may stand still for as long. */
async function unreset(send: () => Promise<RawClient>): Promise<RawClient> {
  for (let tries = 1; ; tries++) {
    const client = await send();
    if (client.errorCode === undefined || tries === TRIES) return client;
  }
}

/** Checks that `text` is one whole problem with `code`, rightly framed, and returns its body. */
function checkProblem(t: Test, text: string, status: number, code: string) {
  const [head, body] = text.split('\r\n\r\n');
  t.match(head, new RegExp(`^HTTP/1\\.1 ${status} .+\r\n`));
  t.match(head, /^content-type: application\/problem\+json\r?$/im);
  t.equal(Number(/^content-length: (\d+)/im.exec(head)?.[1]), Buffer.byteLength(body));
  const problem = JSON.parse(body);
  t.equal(problem.code, code);
  t.equal(problem.status, status);
  t.match(problem.instance, /^urn:request:.+/);
  return head;
}

t.test('answers malformed HTTP with 400 and closes', async (t) => {
  const { connect } = await listening(t);
  for (const text of [
    'NONSENSE\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    'GET /health HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n',
    'GET /health HTTP/1.1\r\nhost: a\r\nx: a\u0001\r\n\r\n',
    'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx',
    'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n',
  ]) {
    const client = await connect();
    client.send(text);
    const head = checkProblem(t, await client.end(), 400, 'bad-request');
    t.match(head, /^connection: close$/im);
    t.equal(client.errorCode, undefined, 'no reset');
  }
});

t.test('answers headers that are too large with 431, also to who goes on sending', async (t) => {
  const { app, connect } = await listening(t);
  const client = await unreset(async () => {
    const sender = await connect();
    sender.socket.pause();
    const refused = once(app.server, 'clientError');
    sender.send(`GET /health HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(100_000)}`);
    const [, serverSide] = await refused;
    const closed = new Promise((resolve) => serverSide.once('close', resolve));
    // A reset would throw away the answer, which the client has not read yet.
    for (let turn = 0; turn < 50; turn++) {
      sender.send('x'.repeat(100));
      await new Promise(setImmediate);
    }
    sender.socket.end();
    await closed;
    sender.socket.resume();
    await sender.end();
    return sender;
  });
  checkProblem(t, client.received, 431, 'headers-too-large');
  t.equal(client.errorCode, undefined);
});

t.test('cuts off who goes on sending after a refusal', async (t) => {
  const { app, connect } = await listening(t);
  const client = await connect();
  const refused = once(app.server, 'clientError');
  client.send('NONSENSE\r\n\r\n');
  const [, serverSide] = await refused;
  const closed = new Promise((resolve) => serverSide.once('close', resolve));
  const sending = setInterval(() => client.send('more'), 10);
  t.teardown(() => clearInterval(sending));
  await closed;
  t.pass();
});

t.test('answers a malformed body with 400', async (t) => {
  const { connect } = await listening(t);
  const client = await connect();
  client.send(
    'POST /api/v1/events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
      'transfer-encoding: chunked\r\n\r\nnot a length\r\n',
  );
  checkProblem(t, await client.end(), 400, 'bad-request');
});

t.test('garbage after a pending event waits for the answer of the event', async (t) => {
  const { connect, intake } = await listening(t);
  intake.autoDurable = false;
  const client = await connect();
  const offered = intake.nextOffer();
  client.send(`${postEvent('p')}GARBAGE\r\n\r\n`);
  const { waiter } = await offered;
  await new Promise(setImmediate);
  t.equal(client.received, '', 'the refusal of the garbage is held back');
  waiter?.durable(5);
  const text = await client.end();
  const [first, second] = text.split(/(?=HTTP\/1\.1 400)/);
  t.match(first, /^HTTP\/1\.1 202 [\s\S]*"seq":5\}$/);
  checkProblem(t, second, 400, 'bad-request');
});

t.test('closes slow headers with 408 soon after their time', async (t) => {
  const { connect } = await listening(t, { headersTimeoutMs: 100 });
  for (const start of ['GET /health HTTP/1.1\r\nhost: a\r\nx: ', '']) {
    const client = await connect();
    const startMs = performance.now();
    client.send(start);
    checkProblem(t, await client.end(), 408, 'request-timeout');
    const tookMs = performance.now() - startMs;
    t.ok(tookMs < 20_000, `${tookMs} ms: not Node's 30 s between two looks`);
  }
});

t.test('closes slow bodies with 408', async (t) => {
  const { connect, intake } = await listening(t, { headersTimeoutMs: 100, requestTimeoutMs: 150 });
  const client = await connect();
  client.send(postEvent('p').slice(0, -1));
  checkProblem(t, await client.end(), 408, 'request-timeout');
  t.equal(intake.offers.length, 0);
});

t.test('closes connections that stay idle after an answer', async (t) => {
  const { connect } = await listening(t, { keepAliveTimeoutMs: 50 });
  const client = await connect();
  client.send(GET_HEALTH);
  await client.until(/healthy/);
  await client.end();
  t.equal(client.errorCode, undefined);
});

t.test('refuses two Host headers, or none, with 400', async (t) => {
  const { connect } = await listening(t);
  for (const hosts of ['host: a\r\nhost: b\r\n', 'host: a\r\nx: y\r\nHOST: a\r\n', 'x: y\r\n']) {
    for (const target of ['GET /health', 'GET /nope', 'PUT /health']) {
      const client = await connect();
      client.send(`${target} HTTP/1.1\r\n${hosts}connection: close\r\n\r\n`);
      checkProblem(t, await client.end(), 400, 'bad-request');
    }
  }
  const old = await connect();
  old.send('GET /health HTTP/1.0\r\n\r\n');
  t.match(await old.end(), /^HTTP\/1\.1 200 /, 'HTTP/1.0 needs no Host');
});

t.test('refuses two of a header that can be there only once', async (t) => {
  const { connect, intake } = await listening(t);
  const pairs = [
    ['Content-Type: application/json', 'content-type: text/plain', 'Content-Type'],
    ['authorization: Bearer a', 'AUTHORIZATION: Bearer b', 'Authorization'],
    ['content-type: application/json', 'content-type: application/json', 'Content-Type'],
  ];
  for (const [one, two, name] of pairs) {
    const client = await connect();
    client.send(
      `POST /api/v1/events HTTP/1.1\r\nhost: a\r\n${one}\r\nx: y\r\n${two}\r\n` +
        'content-length: 2\r\nconnection: close\r\n\r\n{}',
    );
    const text = await client.end();
    checkProblem(t, text, 400, 'bad-request');
    t.match(text, `The ${name} header was sent more than once.`);
  }
  const lengths = await connect();
  lengths.send(
    'POST /api/v1/events HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}',
  );
  checkProblem(t, await lengths.end(), 400, 'bad-request');
  t.equal(intake.offers.length, 0);
});

t.test('refuses two keys, or places in the feed, on every route that reads them', async (t) => {
  const { connect, intake } = await listening(t);
  const json = 'content-type: application/json\r\ncontent-length: 2\r\n';
  const lines = 'content-type: application/x-ndjson\r\ncontent-length: 2\r\n';
  const routes = [
    ['POST /api/v1/events', json, 'Idempotency-Key'],
    ['POST /api/v1/events/batch', lines, 'Idempotency-Key'],
    ['PATCH /api/v1/products/p', json, 'Idempotency-Key'],
    ['DELETE /api/v1/products/p', '', 'Idempotency-Key'],
    ['GET /api/v1/changes', '', 'Last-Event-ID'],
  ] as const;
  for (const [target, more, name] of routes) {
    for (const [one, two] of [
      ['1', '2'],
      ['"1"', '"1"'],
      ['1', ''],
    ]) {
      const client = await connect();
      const twice = `${name}: ${one}\r\n${name}: ${two}\r\n`;
      const event = target.startsWith('PATCH')
        ? '{"price":1}'
        : '{"product_id":"p","price":1,"stock":1}';
      const body = more === '' ? '' : event;
      client.send(
        `${target} HTTP/1.1\r\nhost: a\r\n${twice}${more.replace(': 2', `: ${body.length}`)}` +
          `connection: close\r\n\r\n${body}`,
      );
      checkProblem(t, await client.end(), 400, 'invalid-header');
    }
  }
  t.equal(intake.offers.length, 0);
});

t.test('a body too large is answered on a connection that stays usable', async (t) => {
  const { connect } = await listening(t, { bodyBytesMax: 1000 });
  const client = await connect();
  const body = 'x'.repeat(3_000_000);
  client.send(
    'POST /api/v1/events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
      `content-length: ${body.length}\r\n\r\n${body}`,
  );
  client.send('GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  const text = await client.end();
  const [first, second] = text.split(/(?=HTTP\/1\.1 200)/);
  checkProblem(t, first, 413, 'body-too-large');
  t.match(second, /healthy/);
  t.equal(client.errorCode, undefined);
});

t.test('bad JSON leaves the connection usable', async (t) => {
  const { connect } = await listening(t);
  const client = await connect();
  client.send(
    'POST /api/v1/events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n' +
      'content-length: 1\r\n\r\n{',
  );
  await client.until(/invalid-json/);
  client.send('GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  t.match(await client.end(), /healthy/);
});

t.test('pipelined events are answered in their order', async (t) => {
  const { connect } = await listening(t);
  const client = await connect();
  client.send(postEvent('a') + postEvent('b') + GET_HEALTH + postEvent('c'));
  await client.until(/"product_id":"c"/);
  t.match(client.received, /"a","seq":1\}[\s\S]*"b","seq":2\}[\s\S]*healthy[\s\S]*"c","seq":3\}$/);
});

t.test('answers an expectation it does not know with 417', async (t) => {
  const { connect } = await listening(t);
  const client = await connect();
  client.send('GET /health HTTP/1.1\r\nhost: a\r\nexpect: miracles\r\nconnection: close\r\n\r\n');
  checkProblem(t, await client.end(), 417, 'expectation-failed');
});

t.test('meets 100-continue, once', async (t) => {
  const { connect } = await listening(t);
  const client = await connect();
  const [head, body] = postEvent('p').split('\r\n\r\n');
  client.send(`${head}\r\nexpect: 100-continue\r\n\r\n`);
  await client.until(/^HTTP\/1\.1 100 /);
  client.send(body);
  await client.until(/202 Accepted[\s\S]*"durable"/);
  t.equal(client.received.match(/100 Continue/g)?.length, 1);
  client.send(postEvent('q'));
  await client.until(/"product_id":"q"/);
});

/** The head of a request that asks before it sends its body. */
const asking = (target: string, headers: readonly string[]) =>
  [`${target} HTTP/1.1`, 'host: a', 'expect: 100-continue', ...headers, '', ''].join('\r\n');

t.test('refuses by the headers alone before any body is asked for', async (t) => {
  const { connect, intake, lifecycle } = await listening(t, { bodyBytesMax: 1000 });
  const json = 'content-type: application/json';
  const tooLong = `content-length: ${TEST_LIMITS.batchBytesMax + 1}`;
  const cases: [string, readonly string[], number, string][] = [
    ['POST /api/v1/events', [json, 'content-length: 1001'], 413, 'body-too-large'],
    ['PATCH /api/v1/products/p', [json, 'content-length: 1001'], 413, 'body-too-large'],
    ['POST /api/v1/events/batch', [json, tooLong], 413, 'body-too-large'],
    ['POST /api/v1/events/batch?on_error=reject', [json, tooLong], 413, 'body-too-large'],
    ['POST /api/v1/events/batch?on_error=maybe', [json, tooLong], 400, 'invalid-parameter'],
    ['POST /api/v1/events', ['content-type: text/plain', 'content-length: 9'], 415, ''],
    ['POST /api/v1/events/batch', ['content-type: text/plain', 'content-length: 9'], 415, ''],
    ['POST /api/v1/events', [json, 'content-encoding: gzip', 'content-length: 9'], 415, ''],
    ['DELETE /api/v1/products/p', [json, 'content-length: 9'], 400, 'bad-request'],
    ['POST /nope', [json, 'content-length: 9'], 404, 'route-not-found'],
    ['PUT /api/v1/events', [json, 'content-length: 9'], 405, 'method-not-allowed'],
  ];
  for (const [target, headers, status, code] of cases) {
    const client = await connect();
    client.send(asking(target, headers));
    const head = checkProblem(t, await client.end(), status, code || 'unsupported-media-type');
    t.match(head, /^connection: close$/im, target);
    t.equal(client.errorCode, undefined);
  }
  lifecycle.phase = 'stopping';
  const late = await connect();
  late.send(asking('POST /api/v1/events', [json, 'content-length: 9']));
  checkProblem(t, await late.end(), 503, 'stopping');
  t.equal(intake.offers.length, 0);
});

t.test('a client that does not wait until it is asked gets its refusal, too', async (t) => {
  const { connect } = await listening(t, { bodyBytesMax: 1000 });
  const bytes = 3_000_000;
  const client = await unreset(async () => {
    const sender = await connect();
    sender.send(
      asking('POST /api/v1/events', [
        'content-type: application/json',
        `content-length: ${bytes}`,
      ]) + 'x'.repeat(bytes),
    );
    await sender.end();
    sender.socket.end();
    await sender.closed();
    return sender;
  });
  checkProblem(t, client.received, 413, 'body-too-large');
  t.equal(client.errorCode, undefined, 'no reset');
});

t.test('takes httpConnectionsMax connections and drops the next', async (t) => {
  const { app, connect } = await listening(t, { httpConnectionsMax: 1 });
  const first = await connect();
  first.send(GET_HEALTH);
  await first.until(/healthy/);
  const dropped = once(app.server, 'drop');
  const second = await connect();
  second.send(GET_HEALTH);
  await dropped;
  t.equal(await second.end(), '');
  first.send(GET_HEALTH);
  await first.until(/healthy[\s\S]*healthy/);
});

t.test('sets every timeout of the server', async (t) => {
  const { app } = await listening(t, {
    headersTimeoutMs: 1000,
    requestTimeoutMs: 2000,
    keepAliveTimeoutMs: 3000,
    httpConnectionsMax: 9,
  });
  const { headersTimeout, requestTimeout, keepAliveTimeout, timeout, maxConnections } = app.server;
  t.strictSame(
    { headersTimeout, requestTimeout, keepAliveTimeout, timeout, maxConnections },
    {
      headersTimeout: 1000,
      requestTimeout: 2000,
      keepAliveTimeout: 3000,
      timeout: 5000,
      maxConnections: 9,
    },
  );
});

t.test('each answer that passes no route is logged once, at debug, by its instance', async (t) => {
  const { app, logged, connect } = await listening(t, {}, 'debug');
  const requests = [
    ['NONSENSE\r\n\r\n', 400, 'bad-request'],
    ['GET /health HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'bad-request'],
    [
      'GET /health HTTP/1.1\r\nhost: a\r\nexpect: the best\r\nconnection: close\r\n\r\n',
      417,
      'expectation-failed',
    ],
    [
      `GET /health HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(200_000)}\r\n\r\n`,
      431,
      'headers-too-large',
    ],
    ['GET /%ff HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n', 400, 'bad-request'],
  ] as const;
  for (const [text, status, reason] of requests) {
    const client = await connect();
    client.send(text);
    const answer = await client.end();
    checkProblem(t, answer, status, reason);
    const { instance } = JSON.parse(answer.split('\r\n\r\n')[1]);
    const lines = logged.splice(0).map((line) => JSON.parse(line));
    t.match(lines, [{ level: 20, status, reason, msg: 'answered before any route' }]);
    t.equal(lines.length, 1);
    t.equal(instance, `urn:request:${lines[0]?.reqId}`);
  }
  const { statusCode } = await app.inject('/health');
  t.equal(statusCode, 200);
  const messages = logged.map((line) => JSON.parse(line).msg);
  t.strictSame(messages, ['answered'], 'what a route answers is not among them');
});
