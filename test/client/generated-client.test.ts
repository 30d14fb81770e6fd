/**
 * The API as a client program sees it that was generated from its document: openapi-typescript's
 * types, openapi-fetch's calls, no path or member written without the compiler knowing it.
 */
import createClient from 'openapi-fetch';
import t from 'tap';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import type { paths } from './api.d.ts';

t.test('a shop writes, reads its writes, follows, and is told what is wrong', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const client = createClient<paths>({ baseUrl: `http://127.0.0.1:${port}` });

  const sent = await client.POST('/api/v1/events', {
    params: { query: { ack: 'applied' }, header: { 'idempotency-key': 'order-1' } },
    body: { product_id: 'a/b é', price: 49.99, stock: 100, occurred_at: '2026-01-01T00:00:00Z' },
  });
  t.equal(sent.response.status, 200);
  t.same(sent.data, { status: 'applied', product_id: 'a/b é', seq: 1 });

  const refused = await client.POST('/api/v1/events', {
    // @ts-expect-error a price is a number
    body: { product_id: 'b', price: '1', stock: 1 },
  });
  t.equal(refused.error?.code, 'invalid-event');
  t.equal(refused.error?.errors?.[0].pointer, '/price');

  const patched = await client.PATCH('/api/v1/products/{id}', {
    params: { path: { id: 'new' }, query: { ack: 'durable' } },
    body: { stock: 7 },
  });
  t.equal(patched.response.status, 202);
  const location = patched.response.headers.get('location');
  t.equal(location, '/api/v1/events/2');

  const batch = await client.POST('/api/v1/events/batch', {
    params: { query: { on_error: 'continue' } },
    body: [
      { product_id: 'c', price: 1, stock: 1 },
      { product_id: 'c', price: -1, stock: 1 },
      { product_id: 'c', price: 2, partial: true },
    ],
  });
  t.equal(batch.response.status, 207);
  t.match(batch.data, { accepted: 2, rejected: 1, errors: [{ line: 2, pointer: '/price' }] });

  const lastSeq = batch.data?.last_seq ?? 0;
  const read = await client.GET('/api/v1/products/{id}', {
    params: { path: { id: 'c' }, query: { min_seq: lastSeq, wait: '30s', view: 'full' } },
  });
  t.match(read.data, { id: 'c', price: 2, stock: 1, seq: lastSeq });
  const odd = await client.GET('/api/v1/products/{id}', { params: { path: { id: 'a/b é' } } });
  t.same(odd.data, { id: 'a/b é', price: 49.99, stock: 100 });
  const several = await client.GET('/api/v1/products', {
    params: { query: { id: ['new', 'none', 'c'] } },
  });
  t.match(several.data, {
    products: [{ id: 'new', price: null, stock: 7 }, { id: 'c' }],
    missing: ['none'],
  });

  const outcome = await client.GET('/api/v1/events/{seq}', { params: { path: { seq: 2 } } });
  t.same(outcome.data, { seq: 2, status: 'applied' });
  const changes = await client.GET('/api/v1/changes', {
    params: { query: { since: 0, limit: 10 } },
  });
  const seqs = typeof changes.data === 'object' ? changes.data.changes.map(({ seq }) => seq) : [];
  t.same(seqs, [1, 2, 3, 4]);

  const delisted = await client.DELETE('/api/v1/products/{id}', {
    params: { path: { id: 'new' }, query: { ack: 'applied' } },
  });
  t.equal(delisted.data?.status, 'applied');
  const gone = await client.GET('/api/v1/products/{id}', { params: { path: { id: 'new' } } });
  t.equal(gone.error?.code, 'product-not-found');
});
