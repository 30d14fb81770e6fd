/** Read your writes: `?min_seq=` on every read of products, and how the wait ends. */
import t, { type Test } from 'tap';
import { RawClient } from '../helpers/clients/raw-client.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';
import { OwnedStore } from '../helpers/models/owned-store.ts';

const READS = ['/api/v1/products/p', '/api/v1/products', '/api/v1/products?id=p'];

function setup(t: Test) {
  const owned = new OwnedStore(2, 4096);
  const { store } = owned;
  const fakes = fakeApp({ products: store, catalogue: store });
  t.teardown(() => fakes.app.close());
  const get = (path: string, query: string, method: 'GET' | 'HEAD' = 'GET') =>
    fakes.app.inject({ method, url: `${path}${path.includes('?') ? '&' : '?'}${query}` });
  /** Resolves once `count` reads wait. */
  const waiting = async (count: number) => {
    while (fakes.watermark.waiters.length < count) await new Promise(setImmediate);
  };
  return { ...fakes, owned, get, waiting };
}

t.test('answers at once when the event is applied, also for 0', async (t) => {
  const { owned, get, watermark } = setup(t);
  owned.put('p');
  watermark.seq = 17;
  for (const path of READS) {
    for (const minSeq of [0, 1, 17]) {
      const response = await get(path, `min_seq=${minSeq}&wait=0ms`);
      t.equal(response.statusCode, 200, path);
    }
  }
  t.same(watermark.waiters, []);
});

t.test('an event that is applied just as the read begins to wait', async (t) => {
  const { owned, get, watermark } = setup(t);
  owned.put('p');
  watermark.seq = 17;
  for (const path of READS) {
    watermark.earlier = [16];
    const response = await get(path, 'min_seq=17&wait=30s');
    t.equal(response.statusCode, 200, path);
    t.same(watermark.earlier, [], 'it was asked twice');
  }
  t.same(watermark.waiters, []);
});

t.test('waits for the event and reads after it', async (t) => {
  const { owned, get, watermark, waiting } = setup(t);
  const answers = READS.map((path) => get(path, 'min_seq=3&wait=30s'));
  const head = get(READS[0], 'min_seq=3&wait=30s', 'HEAD');
  const lines = get('/api/v1/products', 'min_seq=3&wait=30s');
  await waiting(5);
  watermark.advance(2);
  owned.put('p', { price: 5, stock: 6 });
  await waiting(5);
  watermark.advance(3);
  for (const answer of answers) {
    t.match((await answer).body, /\{"id":"p","price":5,"stock":6\}/);
  }
  t.equal((await head).headers.etag, '"1"');
  t.equal((await lines).statusCode, 200);
  t.same(watermark.waiters, []);
});

t.test('a stream waits too, and names a seq that is not below', async (t) => {
  const { app, owned, watermark, waiting } = setup(t);
  const headers = { accept: 'application/x-ndjson' };
  const answer = app.inject({ url: '/api/v1/products?min_seq=9&wait=30s', headers });
  await waiting(1);
  owned.put('p');
  watermark.advance(11);
  const response = await answer;
  t.equal(response.headers['x-resume-seq'], '11');
  t.equal(response.body, '{"id":"p","price":1,"stock":2}\n');
});

t.test('answers 503 when the time is over, and leaves no waiter', async (t) => {
  const { get, watermark } = setup(t);
  watermark.seq = 4;
  for (const path of READS) {
    for (const wait of ['0ms', '1ms', '300ms']) {
      const startMs = performance.now();
      const response = await get(path, `min_seq=5&wait=${wait}`);
      t.equal(response.statusCode, 503, path);
      t.equal(response.headers['retry-after'], '1');
      t.match(response.json(), {
        code: 'not-yet-applied',
        detail: 'Event 5 is not applied yet; all up to 4 are.',
      });
      t.ok(performance.now() - startMs >= Number.parseInt(wait, 10), 'not before its time');
    }
  }
  const head = await get(READS[0], 'min_seq=5&wait=0ms', 'HEAD');
  t.equal(head.statusCode, 503);
  t.equal(head.body, '');
  t.same(watermark.waiters, []);
});

t.test('waits half a second unless asked otherwise, for a seq that no event has', async (t) => {
  const { get } = setup(t);
  const startMs = performance.now();
  const response = await get(READS[0], `min_seq=${Number.MAX_SAFE_INTEGER}`);
  t.equal(response.json().code, 'not-yet-applied');
  t.ok(performance.now() - startMs >= 500);
});

t.test('a client that goes leaves no waiter', async (t) => {
  const { app, watermark, waiting } = setup(t);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as { port: number };
  const client = await RawClient.connect(port);
  client.send('GET /api/v1/products/p?min_seq=5&wait=30s HTTP/1.1\r\nhost: a\r\n\r\n');
  await waiting(1);
  client.close();
  while (watermark.waiters.length > 0) await new Promise(setImmediate);
  t.pass('taken back');
});

t.test('a stop ends the wait', async (t) => {
  const { get, lifecycle, watermark, waiting } = setup(t);
  const answer = get(READS[0], 'min_seq=5&wait=30s');
  await waiting(1);
  lifecycle.phase = 'stopping';
  const response = await answer;
  t.equal(response.statusCode, 503);
  t.equal(response.json().code, 'stopping');
  t.same(watermark.waiters, []);
});

t.test('what fails after the wait is a 500, and tells the others', async (t) => {
  const { app, products, watermark } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 1, 2, 3);
  products.read = () => {
    throw new Error('broken');
  };
  const broken = app.inject('/api/v1/products/p?min_seq=1&wait=30s');
  const page = app.inject('/api/v1/products?min_seq=1&wait=30s');
  while (watermark.waiters.length < 2) await new Promise(setImmediate);
  watermark.advance(1);
  t.equal((await broken).statusCode, 500);
  t.equal((await page).statusCode, 200);
});
