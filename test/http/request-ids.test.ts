/** `X-Request-Id`: taken if it is sane, else made; the same in the header, in `instance` and in the log. */
import t from 'tap';
import { createRequestIds } from '../../src/http/connection/request-ids.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const TRACE_PARENT = `00-${TRACE}-b7ad6b7169203331-01`;
const MADE = /^[\da-f]{10}-[\da-z]+$/;

t.test('a sane one is taken, any other is replaced', (t) => {
  const ids = createRequestIds();
  const idOf = (given: string | undefined) => ids({ headers: { 'x-request-id': given } });
  for (const sane of [
    'a',
    'A-b_c.d~e:f@g/h+i=j',
    '0af76519-16cd-43dd-8448-eb211c80319c',
    'x'.repeat(128),
  ]) {
    t.equal(idOf(sane), sane);
  }
  for (const odd of [
    '',
    'a b',
    'a, b',
    'a"b',
    'a\\b',
    'é',
    'a\tb',
    'a%0d',
    '{a}',
    '<a>',
    'x'.repeat(129),
  ]) {
    t.match(idOf(odd), MADE, odd);
  }
  t.match(idOf(undefined), MADE);
  t.match(ids(), MADE);
  t.not(ids(), ids(), 'those that are made are different');
  t.end();
});

t.test('every kind of answer has it', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 1, 1, 1);
  const event = { product_id: 'p', price: 1, stock: 1 };
  for (const [method, url, payload, headers] of [
    ['GET', '/api/v1/products/p', undefined, {}],
    ['HEAD', '/api/v1/products/p', undefined, {}],
    ['GET', '/api/v1/products/p', undefined, { 'if-none-match': '"1"' }],
    ['GET', '/api/v1/products/none', undefined, {}],
    ['GET', '/api/v1/products', undefined, {}],
    ['GET', '/api/v1/products', undefined, { accept: 'application/x-ndjson' }],
    ['GET', '/api/v1/changes', undefined, { accept: 'text/event-stream' }],
    ['POST', '/api/v1/events', event, {}],
    ['POST', '/api/v1/events?ack=applied', event, {}],
    ['POST', '/api/v1/events', { price: 'x' }, {}],
    ['POST', '/api/v1/events', 'no JSON', {}],
    ['DELETE', '/api/v1/events', undefined, {}],
    ['GET', '/nowhere', undefined, {}],
    ['GET', '/%ff', undefined, {}],
    ['GET', '/livez', undefined, {}],
    ['GET', '/readyz', undefined, {}],
    ['GET', '/docs', undefined, {}],
    ['GET', '/docs/', undefined, {}],
    ['GET', '/openapi.json', undefined, { 'accept-encoding': 'gzip' }],
  ] as const) {
    const answer = await app.inject({
      method,
      url,
      ...(payload === undefined ? {} : { payload }),
      headers: { ...headers, 'x-request-id': 'from-the-client' },
    });
    t.equal(answer.headers['x-request-id'], 'from-the-client', `${method} ${url}`);
    const isProblem = answer.headers['content-type'] === 'application/problem+json';
    if (isProblem) t.equal(answer.json().instance, 'urn:request:from-the-client');
    const other = await app.inject({
      method,
      url,
      ...(payload === undefined ? {} : { payload }),
      headers: { ...headers, 'x-request-id': 'two, of them' },
    });
    t.match(other.headers['x-request-id'], MADE, `${method} ${url}`);
  }
});

t.test('what fails is logged with the id and the trace of its request', async (t) => {
  const { app, logged, products } = fakeApp();
  t.teardown(() => app.close());
  products.read = () => {
    throw new Error('broken');
  };
  const url = '/api/v1/products/p';
  const headers = { 'x-request-id': 'mine', traceparent: TRACE_PARENT };
  t.equal((await app.inject({ url, headers })).statusCode, 500);
  await app.inject({ url, headers: { traceparent: `${TRACE_PARENT}, ${TRACE_PARENT}` } });
  const lines = logged.map((line) => JSON.parse(line));
  t.match(lines[0], { msg: 'request failed', reqId: 'mine', trace_id: TRACE, level: 50 });
  t.match(lines[1], { msg: 'request failed', reqId: MADE });
  t.notOk('trace_id' in lines[1], 'two are none');
});

t.test('the access log has a line for each answer, at debug', async (t) => {
  const { app, logged } = fakeApp({}, 'debug');
  t.teardown(() => app.close());
  const headers = { 'x-request-id': 'mine', traceparent: TRACE_PARENT };
  await app.inject({ url: '/api/v1/products/none?view=full', headers });
  await app.inject({
    method: 'POST',
    url: '/api/v1/events',
    payload: { product_id: 'p', price: 1, stock: 1 },
  });
  const [read, write] = logged.map((line) => JSON.parse(line));
  t.match(read, {
    level: 20,
    msg: 'answered',
    reqId: 'mine',
    trace_id: TRACE,
    method: 'GET',
    url: '/api/v1/products/none?view=full',
    route: '/api/v1/products/:id',
    status: 404,
    durationMs: Number,
    address: '127.0.0.1',
  });
  t.match(write, { msg: 'answered', method: 'POST', status: 202, reqId: MADE });
  t.equal(logged.length, 2);
});

t.test('and none at info', async (t) => {
  const { app, logged } = fakeApp();
  t.teardown(() => app.close());
  await app.inject('/api/v1/products/none');
  t.strictSame(logged, []);
});
