/**
 * Bodies that come whole are read past Fastify, and answers are written past Node's headers: neither may
 * show. Each event goes both ways, with a Content-Length and in chunks, and each answer as well.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Identity } from '../../src/auth/identity.ts';
import type { AppDeps } from '../../src/http/app.ts';
import { CORPUS } from '../bulk/json-corpus.ts';
import { RawClient } from '../helpers/clients/raw-client.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

const URL_OF_EVENTS = '/api/v1/events';
const JSON_TYPE = { 'content-type': 'application/json' };

async function listening(t: Test, overrides: Partial<AppDeps> = {}) {
  const fakes = fakeApp(overrides);
  await fakes.app.listen({ port: 0, host: '127.0.0.1' });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(async () => {
    agent.destroy();
    await fakes.app.close();
  });
  const { port } = fakes.app.server.address() as { port: number };

  /** Posts `body`, whole or in chunks; `id` becomes the id of the request. */
  const post = async (
    body: Buffer | string,
    way: 'whole' | 'chunked',
    headers: Record<string, string> = {},
    query = '',
  ) => {
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    const sent = request({
      agent,
      port,
      method: 'POST',
      path: `${URL_OF_EVENTS}${query}`,
      headers: {
        ...JSON_TYPE,
        'x-request-id': 'same',
        ...(way === 'whole' ? length : {}),
        ...headers,
      },
    });
    // An empty chunk ends the body.
    if (body.length > 0) sent.write(body);
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    // These two have the event's number in them.
    const { date, location, 'content-length': _length, etag, ...others } = response.headers;
    const answer = (await text(response)).replace(/("seq":|as seq )\d+/, '$1n');
    return {
      status: response.statusCode,
      headers: others,
      // This machine's clock is in some faults.
      answer: answer.replace(/(?<=clock says )[-\dT:.]+Z/g, 'now'),
      isDated: date !== undefined,
      isLocated: location !== undefined,
      isTagged: etag !== undefined,
    };
  };
  return { ...fakes, port, post };
}

const BODIES: readonly (readonly [name: string, body: Buffer | string])[] = [
  ...CORPUS.map(({ name, line }) => [name, line] as const),
  [
    'partial, a member that single events have not',
    '{"product_id":"p","price":1,"stock":2,"partial":false}',
  ],
  ['white space around', ' \r\n\t{"product_id":"p",\n"price":1,\n"stock":2}\n \t\r\n'],
  ['something behind it', '{"product_id":"p","price":1,"stock":2} x'],
  ['another one behind it', '{"product_id":"p","price":1,"stock":2}{}'],
  ['a zero behind it', '{"product_id":"p","price":1,"stock":2}\0'],
  ['an array', '[{"product_id":"p","price":1,"stock":2}]'],
  ['cut', '{"product_id":"p","price":1,"stock":2'],
  ['white space only', ' \n'],
  ['a time ahead', '{"product_id":"p","price":1,"stock":2,"occurred_at":"9999-01-01T00:00:00Z"}'],
  ['as long as is looked at', `{"product_id":"p","price":1,"stock":2${' '.repeat(1024 - 38)}}`],
  ['longer', `{"product_id":"p","price":1,"stock":2${' '.repeat(1024)}}`],
  ['an id of 64 bytes', `{"product_id":"${'p'.repeat(64)}","price":0.1,"stock":2}`],
  ['an id of 65 bytes', `{"product_id":"${'p'.repeat(65)}","price":0.1,"stock":2}`],
];

t.test('a body is the same event, or has the same faults, whole and in chunks', async (t) => {
  const { post, intake } = await listening(t);
  for (const [name, body] of BODIES) {
    const offers = [];
    const answers = [];
    for (const way of ['whole', 'chunked'] as const) {
      const before = intake.offers.length;
      answers.push(await post(body, way));
      offers.push(intake.offers.slice(before).map(({ event }) => event));
    }
    t.strictSame(offers[0], offers[1], name);
    t.strictSame(answers[0], answers[1], name);
  }
});

t.test('headers and queries say the same of an event, whole and in chunks', async (t) => {
  const { post, intake } = await listening(t);
  const event = '{"product_id":"p","price":1.5,"stock":2,"event_id":"e-1"}';
  const plain = '{"product_id":"p","price":1.5,"stock":2}';
  for (const [body, headers, query] of [
    [event, {}, ''],
    [event, {}, '?ack=accepted'],
    [plain, {}, '?ack=accepted'],
    [plain, {}, '?ack=applied'],
    [plain, {}, '?ack=never'],
    [plain, {}, '?ack=durable&ack=applied'],
    [plain, {}, '?ack=durable&other=1'],
    [plain, { 'idempotency-key': 'k' }, ''],
    [plain, { 'idempotency-key': '' }, ''],
    [plain, { 'if-match': '"7"' }, ''],
    [plain, { 'if-match': '"7"' }, '?ack=durable'],
    [plain, { 'if-none-match': '*' }, ''],
    [plain, { 'if-unmodified-since': 'x' }, ''],
    [plain, { 'content-type': 'application/json; charset=utf-8' }, ''],
    [plain, { 'content-type': 'application/json; charset=latin1' }, ''],
    [plain, { 'content-type': 'text/plain' }, ''],
    [plain, { 'content-encoding': 'gzip' }, ''],
  ] as const) {
    const name = `${body} ${JSON.stringify(headers)} ${query}`;
    const offers = [];
    const answers = [];
    for (const way of ['whole', 'chunked'] as const) {
      const before = intake.offers.length;
      answers.push(await post(body, way, headers, query));
      offers.push(intake.offers.slice(before).map(({ event }) => event));
    }
    t.strictSame(offers[0], offers[1], name);
    t.strictSame(answers[0], answers[1], name);
  }
});

t.test('a body that comes later, or in pieces, is the same event', async (t) => {
  const { app, port, intake } = await listening(t);
  const body = '{"product_id":"pieces","price":1.5,"stock":2}';
  for (const pieces of [[body], [body.slice(0, 20), body.slice(20)], [...body.match(/.{1,9}/g)!]]) {
    const client = await RawClient.connect(port);
    const seen = once(app.server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
    const head = `POST ${URL_OF_EVENTS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    client.send(head);
    const [{ socket }] = await seen;
    let bytes = head.length;
    for (const piece of pieces) {
      client.send(piece);
      bytes += piece.length;
      while (socket.bytesRead < bytes) await setImmediate();
    }
    await client.until(/"status":"durable"/);
    client.close();
    t.match(intake.offers.at(-1)?.event, { productId: 'pieces', price: 1.5, stock: 2 });
  }
});

t.test('a body that was there before its sender was known is read all the same', async (t) => {
  const identity: Identity = { subject: 's', role: 'writer', untilMs: Infinity };
  const { promise, resolve } = Promise.withResolvers<{ readonly identity: Identity }>();
  const identities = { known: () => undefined, identify: async () => (await promise).identity };
  const { app, post, intake } = await listening(t, { identities });
  const seen = once(app.server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
  const answer = post('{"product_id":"p","price":1,"stock":2}', 'whole');
  const [message] = await seen;
  while (!message.complete) await setImmediate();
  resolve({ identity });
  t.equal((await answer).status, 202);
  t.equal(intake.offers.length, 1);
});

t.test('what an offer throws is a 500, and the connection goes on', async (t) => {
  const { post, intake, logged } = await listening(t);
  const offer = intake.offer.bind(intake);
  intake.offer = () => {
    throw new Error('on purpose');
  };
  const body = '{"product_id":"p","price":1,"stock":2}';
  t.strictSame(await post(body, 'whole'), await post(body, 'chunked'));
  t.equal((await post(body, 'whole')).status, 500);
  t.equal(logged.filter((line) => line.includes('on purpose')).length, 3);
  intake.offer = offer;
  t.equal((await post(body, 'whole')).status, 202);
});

t.test('a client that goes away before its body came leaves nothing', async (t) => {
  const { app, port, post, intake } = await listening(t);
  const client = await RawClient.connect(port);
  const seen = once(app.server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
  client.send(
    `POST ${URL_OF_EVENTS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n`,
  );
  const [{ socket }] = await seen;
  const closed = once(socket, 'close');
  client.close();
  await closed;
  t.equal((await post('{"product_id":"p","price":1,"stock":2}', 'whole')).status, 202);
  t.equal(intake.offers.length, 1);
});

t.test('an answer has the bytes that Node itself would have written', async (t) => {
  const origin = 'https://pages.example';
  const { app, port, products } = await listening(t, { corsOrigins: [origin] });
  products.put('p', 7, 1.5, 2);
  products.put('ü', 7, 1.5, 2);
  let isNodesWay = false;
  app.server.prependListener('request', (_request, response) => {
    // Nothing is there to be removed, but Node has been asked.
    if (isNodesWay) response.removeHeader('x-nothing');
  });
  const get = (path: string, more = '', version = '1.1') =>
    `GET ${path} HTTP/${version}\r\nhost: a\r\nx-request-id: same\r\n${more}\r\n`;
  const body = '{"product_id":"p","price":1,"stock":2}';
  const event = `POST ${URL_OF_EVENTS} HTTP/1.1\r\nhost: a\r\nx-request-id: same\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  for (const sent of [
    get('/api/v1/products/p'),
    get('/api/v1/products/p?view=full'),
    get('/api/v1/products/%C3%BC'),
    get('/api/v1/products/p', `origin: ${origin}\r\n`),
    get('/api/v1/products/p', 'connection: keep-alive\r\n'),
    get('/api/v1/products/p', 'connection: close\r\n'),
    get('/api/v1/products/p', '', '1.0'),
    get('/api/v1/products/p', 'connection: keep-alive\r\n', '1.0'),
    get('/api/v1/products/p', 'if-none-match: "7"\r\n'),
    get('/api/v1/products/unknown'),
    get('/api/v1/products/p').replace('GET', 'HEAD'),
    get('/health'),
    event,
  ]) {
    const answers = [];
    for (const way of [false, true]) {
      isNodesWay = way;
      const client = await RawClient.connect(port);
      client.send(sent);
      client.socket.end();
      answers.push(await client.end());
    }
    const [ours, nodes] = answers.map((answer) =>
      answer
        .replace(/^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r$/m, 'Date\r')
        .replace(/(?<="seq":|^location: \/api\/v1\/events\/)\d+/gm, 'n'),
    );
    t.match(ours, /^Date\r$/m);
    t.equal(ours, nodes, sent.slice(0, sent.indexOf('\r')));
  }
});
