/** What an instance answers that only reads. */
import t from 'tap';
import { FakeLifecycle, fakeApp } from '../helpers/fakes/http-fakes.ts';

t.test('a reader refuses writes, and says which methods the path has besides', async (t) => {
  const lifecycle = new FakeLifecycle();
  lifecycle.isReader = true;
  lifecycle.storageAvailable = false;
  const { app, intake } = fakeApp({ lifecycle });
  t.teardown(() => app.close());
  const event = { product_id: 'p', price: 1, stock: 1 };
  const writes = [
    { method: 'POST', url: '/api/v1/events', allow: '', payload: event },
    { method: 'POST', url: '/api/v1/events/batch', allow: '', payload: [event] },
    { method: 'PATCH', url: '/api/v1/products/p', allow: 'GET, HEAD', payload: { price: 1 } },
    { method: 'DELETE', url: '/api/v1/products/p', allow: 'GET, HEAD' },
  ] as const;
  for (const { allow, ...request } of writes) {
    const { statusCode, headers, body } = await app.inject(request);
    t.equal(statusCode, 405, request.url);
    t.equal(headers.allow, allow, request.url);
    t.match(JSON.parse(body), { code: 'read-only', outcome: 'none' });
  }
  t.equal(intake.offers.length, 0);
  const { statusCode } = await app.inject('/api/v1/products');
  t.equal(statusCode, 200);
});

t.test('a reader is ready while it serves reads', async (t) => {
  const lifecycle = new FakeLifecycle();
  lifecycle.isReader = true;
  lifecycle.storageAvailable = false;
  const { app } = fakeApp({ lifecycle });
  t.teardown(() => app.close());
  const status = async (url: string) => (await app.inject(url)).statusCode;
  t.equal(await status('/readyz'), 200);
  t.equal(await status('/readyz?for=reads'), 200);
  const { statusCode, body } = await app.inject('/readyz?for=writes');
  t.equal(statusCode, 503);
  t.match(JSON.parse(body), { code: 'storage-unavailable', detail: /ROLE=reader/ });
  lifecycle.phase = 'starting';
  t.equal(await status('/readyz'), 503);
});
