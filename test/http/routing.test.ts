/** Unknown paths, wrong methods, bad URLs and failures inside: what a client is told. */
import { METHODS } from 'node:http';
import t from 'tap';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

const BODIES = [
  {},
  { payload: '{broken', headers: { 'content-type': 'application/json' } },
  { payload: 'x', headers: { 'content-type': 'text/plain' } },
  { payload: 'x', headers: { 'content-type': 'no type at all' } },
  { payload: Buffer.alloc(2_000_000), headers: { 'content-type': 'application/json' } },
  { payload: 'x' },
];
// Node closes connections that ask for CONNECT before anything sees them.
const methods = METHODS.filter((method) => method !== 'CONNECT') as 'GET'[];

t.test('unknown paths answer 404 whatever the method and body', async (t) => {
  const { app } = fakeApp();
  t.teardown(() => app.close());
  const paths = ['/api', '/api/v1/event', '/api/v1/product', '/api/v1/products/a/b', '/HEALTH'];
  for (const method of methods) {
    for (const body of BODIES) {
      for (const url of method === ('POST' as string) ? paths : paths.slice(0, 1)) {
        const response = await app.inject({ method, url, ...body });
        const label = `${method} ${url} ${JSON.stringify(body.headers)}`;
        t.equal(response.statusCode, 404, label);
        t.equal(response.headers['content-type'], 'application/problem+json', label);
        if (method !== ('HEAD' as string)) t.equal(response.json().code, 'route-not-found', label);
      }
    }
  }
});

t.test('a path below the products names %2F, and one without an id is none', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  for (const url of ['gen/1', 'gen/', '', '/', '?limit=5', 'a%2Fb/', 'gen/1?view=full']) {
    for (const method of methods) {
      const response = await app.inject({ method, url: `/api/v1/products/${url}` });
      const label = `${method} ${url}`;
      t.equal(response.statusCode, 404, label);
      if (method === ('HEAD' as string)) continue;
      t.match(response.json(), { code: 'route-not-found', detail: /written as %2F/ }, label);
    }
  }
  for (const url of ['/api/v1/events/', '/api/v1/events/?x=1', '/api/v1/events/1/']) {
    for (const method of methods) {
      const response = await app.inject({ method, url });
      t.equal(response.statusCode, 404, `${method} ${url}`);
      if (method === ('HEAD' as string)) continue;
      t.match(response.json(), { code: 'route-not-found', detail: 'No such path exists here.' });
    }
  }
  t.strictSame(products.reads, []);
});

t.test('known paths answer 405 with Allow to other methods, whatever the body', async (t) => {
  const { app, intake } = fakeApp();
  t.teardown(() => app.close());
  for (const [url, allow] of [
    ['/api/v1/events', 'POST'],
    ['/api/v1/events/1', 'GET, HEAD'],
    ['/api/v1/products/x', 'DELETE, GET, HEAD, PATCH'],
    ['/api/v1/products', 'GET, HEAD'],
    ['/api/v1/changes', 'GET, HEAD'],
    ['/api/v1/events/batch', 'POST'],
    ['/health', 'GET, HEAD'],
    ['/livez', 'GET, HEAD'],
    ['/readyz', 'GET, HEAD'],
    ['/openapi.json', 'GET, HEAD'],
    ['/docs', 'GET, HEAD'],
    ['/docs/json', 'GET, HEAD'],
    ['/docs/static/index.css', 'GET, HEAD'],
    // What the router makes of a path counts: no query, no coding.
    ['/health?x=/nope', 'GET, HEAD'],
    ['/api/v1/%65vents', 'POST'],
    ['/api/v1/products/a%2Fb', 'DELETE, GET, HEAD, PATCH'],
    [`/api/v1/products/${'x'.repeat(1000)}`, 'DELETE, GET, HEAD, PATCH'],
  ]) {
    for (const method of methods.filter((each) => !allow.split(', ').includes(each))) {
      for (const body of url === '/api/v1/events' ? BODIES : BODIES.slice(0, 2)) {
        const response = await app.inject({ method, url, ...body });
        t.equal(response.statusCode, 405, `${method} ${url}`);
        t.equal(response.headers.allow, allow);
        t.equal(response.headers['content-type'], 'application/problem+json');
        if (method !== ('HEAD' as string)) t.equal(response.json().code, 'method-not-allowed');
      }
    }
  }
  t.equal(intake.offers.length, 0);
});

t.test('a path that is not percent-encoded UTF-8 answers 400', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  for (const bad of ['%', '%zz', '%2', '%ff', '%c0%80', '%ed%a0%80', 'a%F0%9F%98']) {
    for (const [method, url] of [
      ['GET', `/api/v1/products/${bad}`],
      ['PUT', `/api/v1/products/${bad}`],
      ['LINK' as 'PUT', `/api/v1/products/${bad}`],
      ['POST', `/api/v1/events${bad}`],
      ['GET', `/${bad}`],
    ] as const) {
      const response = await app.inject({ method, url });
      t.equal(response.statusCode, 400, url);
      t.equal(response.headers['content-type'], 'application/problem+json');
      t.equal(response.json().code, 'bad-request');
    }
  }
  t.strictSame(products.reads, []);
});

t.test('a failure inside answers 500 and tells only the log', async (t) => {
  const { app, products, intake, logged } = fakeApp();
  t.teardown(() => app.close());
  const fail = () => {
    throw Object.assign(new Error('shard 7 is at /secret'), { statusCode: 418 });
  };
  products.read = fail;
  intake.offer = fail;
  const answers = [
    await app.inject('/api/v1/products/p'),
    await app.inject({
      method: 'POST',
      url: '/api/v1/events',
      payload: { product_id: 'p', price: 1, stock: 1 },
    }),
  ];
  for (const [i, response] of answers.entries()) {
    t.equal(response.statusCode, 500);
    t.notMatch(response.body, /secret|shard|stack/);
    const problem = response.json();
    t.equal(problem.code, 'internal');
    t.match(logged[i], /shard 7 is at \/secret/);
    t.equal(`urn:request:${JSON.parse(logged[i]).reqId}`, problem.instance, 'the log has the id');
  }
});

t.test('a failure on a later turn answers 500 as well', async (t) => {
  const { app, products, intake } = fakeApp();
  t.teardown(() => app.close());
  let reads = 0;
  products.read = () => {
    if (reads++ === 0) return 'busy';
    throw new Error('gone');
  };
  t.equal((await app.inject('/api/v1/products/p')).json().code, 'internal');
  let offers = 0;
  intake.offer = () => {
    if (offers++ === 0) return 'undecided';
    throw new Error('gone');
  };
  const payload = { product_id: 'p', price: 1, stock: 1 };
  const posted = await app.inject({ method: 'POST', url: '/api/v1/events', payload });
  t.equal(posted.json().code, 'internal');
});

t.test('every request has its own instance', async (t) => {
  const { app } = fakeApp();
  const other = fakeApp();
  t.teardown(() => Promise.all([app.close(), other.app.close()]));
  const instances = [];
  for (const from of [app, app, other.app]) {
    instances.push((await from.inject('/nope')).json().instance);
  }
  t.equal(new Set(instances).size, 3);
  t.match(instances[0], /^urn:request:[0-9a-z-]+$/);
});

t.test('quiet requests leave the log quiet', async (t) => {
  const { app, logged } = fakeApp();
  t.teardown(() => app.close());
  await app.inject('/health');
  await app.inject('/nope');
  t.strictSame(logged, []);
});

t.test('what fails among the routes fails the start', async (t) => {
  for (const path of ['/api/v1/events', '/livez']) {
    const { app } = fakeApp();
    app.addHook('onRoute', ({ url }) => {
      if (url === path) throw new Error(`no ${path}`);
    });
    const ready = async () => void (await app.ready());
    await t.rejects(ready, { message: `no ${path}` });
    await app.close().catch(() => undefined);
  }
});
