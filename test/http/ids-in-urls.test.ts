/** Every id that can be stored can be read back by a client that knows no more than encodeURIComponent. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { isProductId } from '../../src/event/product-id.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';
import { ODD_IDS } from '../helpers/models/odd-ids.ts';
import { testSeed } from '../helpers/models/random.ts';
import { scaled } from '../helpers/threads/race-scale.ts';

const numRuns = scaled(500, 50_000);
const seed = testSeed();

async function served(t: Test) {
  const { app, products, intake } = fakeApp();
  t.teardown(() => app.close());
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  const readsBack = async (id: string) => {
    products.byId.clear();
    products.put(id, 1, 2, 3);
    const response = await fetch(`${address}/api/v1/products/${encodeURIComponent(id)}`);
    const body = await response.text();
    return response.status === 200 && body === JSON.stringify({ id, price: 2, stock: 3 });
  };
  return { readsBack, address, intake };
}

t.test('odd ids come through fetch', async (t) => {
  const { readsBack } = await served(t);
  for (const id of ODD_IDS) {
    t.ok(isProductId(id), encodeURIComponent(id));
    t.ok(await readsBack(id), encodeURIComponent(id));
  }
  for (const id of ['.', '..']) {
    t.notOk(await readsBack(id), `${id} does not, so`);
    t.notOk(isProductId(id), 'it is none');
  }
});

t.test('whoever sends a step as it is gets told', async (t) => {
  const { address, intake } = await served(t);
  for (const id of ['.', '..', '%2e', '%2E%2e', '.%2E']) {
    for (const method of ['PATCH', 'DELETE']) {
      const response = await sendRaw(method, `${address}/api/v1/products/`, id);
      t.equal(response.status, 400, `${method} ${id}`);
      const detail = /product_id must not be \. or \.\./;
      t.match(JSON.parse(response.text), { code: 'invalid-parameter', detail });
    }
  }
  t.equal(intake.offers.length, 0);
});

/** Sends a path that `fetch` would change. */
async function sendRaw(method: string, base: string, id: string) {
  const url = new URL(base);
  const headers = method === 'PATCH' ? { 'content-type': 'application/json' } : {};
  const call = request({
    host: url.hostname,
    port: url.port,
    path: url.pathname + id,
    method,
    headers,
  });
  call.end(method === 'PATCH' ? '{"price":1}' : undefined);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  return { status: response.statusCode, text: await text(response) };
}

const piece = fc.oneof(
  fc.constantFrom('.', '..', '%', '2e', '2E', '%2F', '/', '\\', ';', '?', '#', '+', ' ', '~', 'a'),
  fc.string({ unit: 'grapheme', maxLength: 3 }),
);
const id = fc
  .array(piece, { minLength: 1, maxLength: 6 })
  .map((pieces) => pieces.join(''))
  .filter(isProductId);

t.test(`${numRuns} random ids come through fetch (SEED=${seed})`, async (t) => {
  const { readsBack } = await served(t);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(id, async (one) => {
      runs++;
      if (!(await readsBack(one))) throw new Error(`not read back: ${JSON.stringify(one)}`);
    }),
    { seed, numRuns },
  );
  t.equal(runs, numRuns);
});
