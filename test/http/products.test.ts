/** `GET /api/v1/products/{id}`: bodies, ids, ETags and busy entries. */
import t from 'tap';
import { RawClient } from '../helpers/clients/raw-client.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';
import { OwnedStore } from '../helpers/models/owned-store.ts';

t.test('answers exactly id, price and stock, in this order', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('abc123', 42, 49.99, 100);
  const response = await app.inject('/api/v1/products/abc123');
  t.equal(response.statusCode, 200);
  t.equal(response.body, '{"id":"abc123","price":49.99,"stock":100}');
  t.equal(response.headers['content-type'], 'application/json; charset=utf-8');
  t.equal(response.headers.etag, '"42"');
});

t.test('prints numbers as JSON does', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  for (const [price, stock] of [
    [0, 0],
    [1e21, Number.MAX_SAFE_INTEGER],
    [5e-324, 1],
    [1.7976931348623157e308, 1],
    [0.1 + 0.2, 1],
  ]) {
    products.put('p', 1, price, stock);
    const { body } = await app.inject('/api/v1/products/p');
    t.equal(body, JSON.stringify({ id: 'p', price, stock }));
  }
});

t.test('HEAD answers the headers of GET without a body', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 7, 1, 2);
  const get = await app.inject('/api/v1/products/p');
  const head = await app.inject({ method: 'HEAD', url: '/api/v1/products/p' });
  t.equal(head.statusCode, 200);
  t.equal(head.body, '');
  for (const name of ['etag', 'content-type', 'content-length']) {
    t.equal(head.headers[name], get.headers[name], name);
  }
  const missing = await app.inject({ method: 'HEAD', url: '/api/v1/products/q' });
  t.equal(missing.statusCode, 404);
  t.equal(missing.body, '');
});

t.test('reads back any id, percent-encoded', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  for (const id of [
    'a/b',
    '/',
    '//',
    '../../health',
    ' ',
    'a b',
    '😀',
    '😀'.repeat(16),
    '__proto__',
    'constructor',
    '%',
    '%2F',
    '%252F',
    '100%',
    'a?b=c',
    'a#b',
    'a;b,c:d@e&f=g+h$i',
    '"quoted"\\',
    'ünï',
    ':id',
    '*',
    'x'.repeat(64),
  ]) {
    products.put(id, 1, 2, 3);
    const response = await app.inject(`/api/v1/products/${encodeURIComponent(id)}`);
    t.equal(response.statusCode, 200, id);
    t.equal(response.body, JSON.stringify({ id, price: 2, stock: 3 }), id);
    t.equal(products.reads.at(-1), id);
    const every = [...Buffer.from(id)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`);
    const encoded = await app.inject(`/api/v1/products/${every.join('')}`);
    t.equal(encoded.body, response.body, `${id}, every byte encoded`);
  }
});

t.test('reads back the ids . and .. from clients that leave paths alone', async (t) => {
  const { app, products } = fakeApp();
  await app.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(() => app.close());
  // Not with inject: it resolves dot segments as WHATWG URLs do, encoded ones too.
  const { port } = app.server.address() as { port: number };
  for (const [id, path] of [
    ['.', '.'],
    ['..', '..'],
    ['..', '%2e%2E'],
    ['../x', '..%2Fx'],
  ]) {
    products.put(id, 1, 2, 3);
    const client = await RawClient.connect(port);
    client.send(`GET /api/v1/products/${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
    t.ok((await client.end()).endsWith(JSON.stringify({ id, price: 2, stock: 3 })), path);
    client.close();
  }
});

t.test('refuses what it does not know in the query, and takes an empty one', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 1, 2, 3);
  t.equal((await app.inject('/api/v1/products/p?')).statusCode, 200);
  for (const [query, detail] of [
    ['x=%zz', /^The parameter "x" is unknown; this route knows view, at, min_seq, wait/],
    ['limit=5', /"limit" is unknown/],
    ['view=', /^view must be full/],
    ['min_seq=1.5', /^min_seq must be an integer/],
    ['min_seq=1&min_seq=2', /^min_seq must .* given once/],
  ] as const) {
    const response = await app.inject(`/api/v1/products/p?${query}`);
    t.equal(response.statusCode, 400, query);
    t.match(response.json(), { code: 'invalid-parameter', detail });
  }
});

t.test('shows an absent field as null, and no product where both are', async (t) => {
  const owned = new OwnedStore(1, 4096);
  const { app } = fakeApp({ products: owned.store });
  t.teardown(() => app.close());
  const get = (query = '') => app.inject(`/api/v1/products/p${query}`);
  owned.put('p', { stock: undefined });
  t.equal((await get()).body, '{"id":"p","price":1,"stock":null}');
  owned.delist('p');
  for (const query of ['', '?view=full']) {
    const response = await get(query);
    t.equal(response.statusCode, 404);
    t.equal(response.json().code, 'product-not-found');
    t.equal(response.headers.etag, undefined);
  }
  owned.put('p', { price: undefined });
  t.equal((await get()).body, '{"id":"p","price":null,"stock":6}');
});

t.test('the full view adds version and times; a delete has its time too', async (t) => {
  const owned = new OwnedStore(1, 4096);
  const { app } = fakeApp({ products: owned.store });
  t.teardown(() => app.close());
  owned.put('p', { price: undefined, occurredAtMs: -1 });
  const get = () => app.inject('/api/v1/products/p?view=full');
  const first = await get();
  t.equal(
    first.body,
    '{"id":"p","price":null,"stock":2,"seq":1,"price_at":null,' +
      '"stock_at":"1969-12-31T23:59:59.999Z","updated_at":"1970-01-01T00:00:00.001Z"}',
  );
  t.equal(first.headers.etag, '"1"');
  owned.delist('p', { occurredAtMs: 5 });
  owned.put('p', { price: undefined, occurredAtMs: 6 });
  t.match((await get()).json(), {
    price: null,
    price_at: '1970-01-01T00:00:00.005Z',
    stock_at: '1970-01-01T00:00:00.006Z',
    seq: 3,
  });
  const headers = { 'if-none-match': '"3"' };
  t.equal((await app.inject({ url: '/api/v1/products/p?view=full', headers })).statusCode, 304);
});

t.test('answers 404 for unknown ids, however long', async (t) => {
  const { app } = fakeApp();
  t.teardown(() => app.close());
  for (const id of ['nope', 'x'.repeat(65), 'x'.repeat(15_000), '%F0%9F%98%80'.repeat(1000)]) {
    const response = await app.inject(`/api/v1/products/${id}`);
    t.equal(response.statusCode, 404);
    t.equal(response.json().code, 'product-not-found');
    t.equal(response.headers.etag, undefined);
  }
});

t.test('If-None-Match gives 304 where it names the version', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 12, 1, 2);
  const get = (value: string, method: 'GET' | 'HEAD' = 'GET') =>
    app.inject({ method, url: '/api/v1/products/p', headers: { 'if-none-match': value } });
  for (const value of [
    '"12"',
    'W/"12"',
    '*',
    ' * ',
    '"1", "12"',
    '"a,b",W/"12"',
    '"12","13"',
    '"12-gzip"',
  ]) {
    for (const method of ['GET', 'HEAD'] as const) {
      const response = await get(value, method);
      t.equal(response.statusCode, 304, value);
      t.equal(response.headers.etag, '"12"');
      t.equal(response.headers['content-type'], undefined);
      t.equal(response.body, '');
    }
  }
  for (const value of ['"1"', '12', '"121"', '"012"', '""', 'w/"12', '"1,12"', '"*"', '']) {
    t.equal((await get(value)).statusCode, 200, value);
  }
});

t.test('If-Match gives 412 where it does not name the version', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 12, 1, 2);
  const get = (headers: Record<string, string>, url = '/api/v1/products/p') =>
    app.inject({ url, headers });
  for (const value of ['"12"', 'W/"12"', '*', '"1", "12"', '"12-gzip"']) {
    t.equal((await get({ 'if-match': value })).statusCode, 200, value);
    const both = await get({ 'if-match': value, 'if-none-match': '"12"' });
    t.equal(both.statusCode, 304, value);
  }
  for (const value of ['"1"', '"012"', '12', '', '"1", "2"']) {
    const response = await get({ 'if-match': value, 'if-none-match': '"12"' });
    t.equal(response.statusCode, 412, value);
    t.equal(response.json().code, 'precondition-failed');
    t.equal((await get({ 'if-match': value }, '/api/v1/products/q')).statusCode, 404);
  }
});

t.test('a path without a tag has none that If-Match could name', async (t) => {
  const { app } = fakeApp();
  t.teardown(() => app.close());
  for (const url of ['/api/v1/products', '/api/v1/changes?limit=1', '/api/v1/events/1']) {
    const get = (value: string) => app.inject({ url, headers: { 'if-match': value } });
    t.equal((await get('"1"')).statusCode, 412, url);
    t.equal((await get('*')).statusCode, 200, url);
  }
});

t.test('dates mean nothing to reads, for no product has one', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 12, 1, 2);
  for (const header of ['if-modified-since', 'if-unmodified-since', 'if-range']) {
    const headers = { [header]: 'Sun, 06 Nov 1994 08:49:37 GMT' };
    t.equal((await app.inject({ url: '/api/v1/products/p', headers })).statusCode, 200, header);
  }
});

t.test('If-None-Match does not hide that a product is missing', async (t) => {
  const { app } = fakeApp();
  t.teardown(() => app.close());
  const headers = { 'if-none-match': '*' };
  const response = await app.inject({ url: '/api/v1/products/p', headers });
  t.equal(response.statusCode, 404);
});

t.test('reads a busy entry again on later turns', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 1, 2, 3);
  products.busyReads = 5;
  const response = await app.inject('/api/v1/products/p');
  t.equal(response.statusCode, 200);
  t.equal(products.reads.length, 6);
});

t.test('other requests are served between the tries', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 1, 2, 3);
  let status = 0;
  // A thread that stands still for a second has no more tries.
  for (let tries = 0; status !== 200 && tries < 10; tries++) {
    products.busyReads = Number.POSITIVE_INFINITY;
    const busy = app.inject('/api/v1/products/p');
    t.equal((await app.inject('/health')).statusCode, 200);
    products.busyReads = 0;
    status = (await busy).statusCode;
  }
  t.equal(status, 200);
});

t.test('answers 503 when an entry stays busy for a second', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.busyReads = Number.POSITIVE_INFINITY;
  const startMs = performance.now();
  const response = await app.inject('/api/v1/products/p');
  const tookMs = performance.now() - startMs;
  t.equal(response.statusCode, 503);
  t.equal(response.json().code, 'read-contention');
  t.equal(response.headers['retry-after'], '1');
  t.ok(tookMs >= 1000, `${tookMs} ms`);
});
