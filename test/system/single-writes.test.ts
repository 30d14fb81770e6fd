/** PATCH, DELETE, keys, conditions and outcomes on the whole service, threads and disk included. */
import t, { type Test } from 'tap';
import type { Service } from '../../src/service.ts';
import { type Answer, ApiClient, codeOf, seqOf } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { DEADLY_ALWAYS, DEADLY_APPLIER, installDeaths } from '../helpers/threads/deadly-prices.ts';

const RACES = 50;

type Headers = Readonly<Record<string, string>>;

/** Every write waits for the appliers, so that what is read next shows it. */
function writes(t: Test, port: number, connections = 1) {
  const client = new ApiClient(port, connections);
  t.teardown(() => client.close());
  const patch = (id: string, body: object, headers?: Headers) =>
    client.send('PATCH', `/api/v1/products/${id}?ack=applied`, JSON.stringify(body), headers);
  const remove = (id: string, query = '', headers?: Headers) =>
    client.send('DELETE', `/api/v1/products/${id}?ack=applied${query}`, undefined, headers);
  const post = (body: object, headers?: Headers) =>
    client.send('POST', '/api/v1/events?ack=applied', JSON.stringify(body), headers);
  /** What the Location of a write says. */
  const outcome = async (answer: Answer): Promise<string> => {
    const { text } = await client.get(answer.headers.location ?? '/no-location');
    return (JSON.parse(text) as { status: string }).status;
  };
  return { client, patch, remove, post, outcome };
}

async function setup(t: Test, connections?: number) {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  return { service, ...writes(t, port, connections) };
}

/** Price and stock as the store has them; NaN where absent. */
function stateOf({ path }: Service, id: string): { price: number; stock: number } | undefined {
  const { store } = path;
  if (store.read(id) !== 'found') return undefined;
  const { price, stock } = store.state;
  return { price, stock };
}

t.test('a product made of two partial updates, in either order', async (t) => {
  const { service, patch } = await setup(t);
  const price = { price: 9.5, occurred_at: 1000 };
  const stock = { stock: 7, occurred_at: 2000 };
  await patch('later-first', stock);
  t.strictSame(stateOf(service, 'later-first'), { price: Number.NaN, stock: 7 });
  t.match(JSON.parse((await patch('later-first', price)).text), { status: 'applied' });
  t.strictSame(stateOf(service, 'later-first'), { price: 9.5, stock: 7 }, 'neither is lost');
  await patch('earlier-first', price);
  t.strictSame(stateOf(service, 'earlier-first'), { price: 9.5, stock: Number.NaN });
  await patch('earlier-first', stock);
  t.strictSame(stateOf(service, 'earlier-first'), { price: 9.5, stock: 7 });
});

t.test('what is older in event time is stale, for each of the two by itself', async (t) => {
  const { service, patch, post, outcome } = await setup(t);
  await post({ product_id: 'p', price: 1, stock: 1, occurred_at: 1000 });
  await patch('p', { price: 3, occurred_at: 3000 });
  const half = await post({ product_id: 'p', price: 2, stock: 2, occurred_at: 2000 });
  t.equal(await outcome(half), 'applied', 'its stock is newer');
  t.strictSame(stateOf(service, 'p'), { price: 3, stock: 2 });
  const stale = await patch('p', { price: 2.5, occurred_at: 2999 });
  t.match(JSON.parse(stale.text), { status: 'applied', outcome: 'stale' });
  t.equal(await outcome(stale), 'stale');
  const same = await patch('p', { price: 4, occurred_at: 3000 });
  t.equal(await outcome(same), 'applied', 'of two at the same time, the later one counts');
  t.strictSame(stateOf(service, 'p'), { price: 4, stock: 2 });
});

t.test('a delist keeps older events out, also of a product that was unknown', async (t) => {
  const { service, remove, post, patch, outcome } = await setup(t);
  const gone = await remove('p', '&occurred_at=2000');
  t.equal(gone.status, 200);
  t.equal(await outcome(gone), 'applied');
  t.equal(
    await outcome(await post({ product_id: 'p', price: 1, stock: 1, occurred_at: 1000 })),
    'stale',
  );
  t.strictSame(stateOf(service, 'p'), { price: Number.NaN, stock: Number.NaN });
  t.equal(await outcome(await patch('p', { price: 3, occurred_at: 3000 })), 'applied');
  t.strictSame(
    stateOf(service, 'p'),
    { price: 3, stock: Number.NaN },
    'a newer one brings it back',
  );
  t.equal(await outcome(await remove('p', '&occurred_at=2500')), 'applied', 'of the stock');
  t.strictSame(stateOf(service, 'p'), { price: 3, stock: Number.NaN });
});

t.test('keys hold over connections, routes, a crash and a clean stop', async (t) => {
  const cwd = tempDir(t);
  const first = await ServiceProcess.start(t, { cwd });
  const port = await first.ready();
  const one = writes(t, port);
  const asked = { product_id: 'p', price: 1, stock: 1, event_id: 'e-1' };
  const event = await one.post(asked);
  const patched = await one.patch('p', { price: 2 }, { 'idempotency-key': 'k-1' });
  const removed = await one.remove('q', '', { 'idempotency-key': 'k-2' });
  for (const answer of [event, patched, removed]) {
    t.equal(answer.status, 200);
    t.notOk('idempotency-replayed' in answer.headers);
  }
  const checkRepetitions = async ({ post, patch, remove, client }: typeof one) => {
    for (const [before, again] of [
      [event, await post(asked, { 'idempotency-key': 'another' })],
      [patched, await patch('p', { price: 2 }, { 'idempotency-key': '"k-1"' })],
      [removed, await remove('q', '', { 'idempotency-key': 'k-2' })],
    ] as const) {
      t.equal(again.status, 200);
      t.equal(seqOf(again), seqOf(before));
      t.equal(again.headers.location, before.headers.location);
      t.equal(again.headers['idempotency-replayed'], 'true');
    }
    for (const conflict of [
      await post({ ...asked, price: 5 }),
      await post({ ...asked, occurred_at: 1000 }),
      await patch('p', { stock: 2 }, { 'idempotency-key': 'k-1' }),
      await patch('p', { price: 2, event_id: 'e-1' }),
      await patch('other', { price: 2 }, { 'idempotency-key': 'k-1' }),
      await remove('p', '', { 'idempotency-key': 'k-1' }),
    ]) {
      t.equal(conflict.status, 422);
      t.equal(codeOf(conflict), 'idempotency-conflict');
    }
    t.match(await client.product('p'), { price: 2, stock: 1, seq: 2 });
  };
  await checkRepetitions(one);
  await checkRepetitions(writes(t, port));
  await first.crash();

  const second = await ServiceProcess.start(t, { cwd });
  const two = writes(t, await second.ready());
  await checkRepetitions(two);
  t.equal(seqOf(await two.post({ product_id: 'next', price: 1, stock: 1 })), 4, 'nothing twice');
  await second.stop();

  // Its last checkpoint covers the whole log, so that the keys come from there alone.
  const third = await ServiceProcess.start(t, { cwd });
  await checkRepetitions(writes(t, await third.ready()));
});

t.test('conditions: what holds counts, and what does not is on record as refused', async (t) => {
  const { service, patch, remove, post, outcome } = await setup(t);
  const refused = async (answer: Answer) => {
    t.equal(answer.status, 412);
    t.equal(codeOf(answer), 'precondition-failed');
    t.equal(await outcome(answer), 'refused');
  };
  await refused(await patch('new', { price: 1 }, { 'if-match': '*' }));
  await refused(await patch('new', { price: 1 }, { 'if-match': '"1"' }));
  t.equal(stateOf(service, 'new'), undefined);
  const { etag = '' } = (await post({ product_id: 'p', price: 1, stock: 1 })).headers;
  t.equal(etag, '"3"');
  await refused(await patch('p', { price: 9 }, { 'if-match': '"2"' }));
  await refused(await patch('p', { price: 9 }, { 'if-match': 'W/"2"' }));
  await refused(await remove('p', '', { 'if-match': '"1"' }));
  const keyed = { 'if-match': '"1"', 'idempotency-key': 'k' };
  await refused(await patch('p', { price: 9 }, keyed));
  await refused(await patch('p', { price: 9 }, keyed));
  const patched = await patch('p', { price: 2 }, { 'if-match': etag });
  t.equal(patched.status, 200);
  t.strictSame(stateOf(service, 'p'), { price: 2, stock: 1 });
  const next = patched.headers.etag ?? '';
  t.equal(next, `"${seqOf(patched)}"`);
  const stale = await patch('p', { price: 3, occurred_at: 1000 }, { 'if-match': next });
  t.match(JSON.parse(stale.text), { status: 'applied', outcome: 'stale' }, 'it held, but in vain');
  t.equal((await remove('p', '', { 'if-match': next })).status, 200);
  await refused(await patch('p', { price: 1 }, { 'if-match': '*' }));
  t.strictSame(stateOf(service, 'p'), { price: Number.NaN, stock: Number.NaN });
});

t.test('If-None-Match: * creates a product once, and again when it was delisted', async (t) => {
  const cwd = tempDir(t);
  const first = await ServiceProcess.start(t, { cwd });
  const { client, patch, post, remove, outcome } = writes(t, await first.ready(), 2);
  const unlisted = { 'if-none-match': '*' };
  const race = (price: number) => post({ product_id: 'p', price, stock: price }, unlisted);
  const answers = await Promise.all([race(1), race(2)]);
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 412]);
  for (const again of [
    await race(3),
    await patch('p', { price: 3 }, unlisted),
    await remove('p', '', unlisted),
  ]) {
    t.equal(again.status, 412);
    t.match(JSON.parse(again.text).detail, /If-None-Match did not hold/);
    t.equal(await outcome(again), 'refused');
  }
  const won = answers[0].status === 200 ? 1 : 2;
  const product = { id: 'p', price: won, stock: won };
  t.strictSame(JSON.parse((await client.get('/api/v1/products/p')).text), product);
  const made = await patch('q', { price: 5 }, { ...unlisted, 'idempotency-key': 'k' });
  t.equal(made.status, 200, 'PATCH creates');
  const repeated = await patch('q', { price: 5 }, { ...unlisted, 'idempotency-key': 'k' });
  t.equal(repeated.headers.location, made.headers.location);
  t.equal(repeated.status, 200, 'a repetition has the answer of the first time');
  await remove('q');
  t.equal((await remove('never', '', unlisted)).status, 200, 'nothing there to delist');
  t.equal((await patch('q', { stock: 7 }, unlisted)).status, 200, 'a delisted one is not listed');

  await first.crash();
  const second = await ServiceProcess.start(t, { cwd });
  const { client: reader } = writes(t, await second.ready());
  t.strictSame(JSON.parse((await reader.get('/api/v1/products/p')).text), product, 'replayed');
  const q = { id: 'q', price: null, stock: 7 };
  t.strictSame(JSON.parse((await reader.get('/api/v1/products/q')).text), q);
});

t.test('of two that race for one version, exactly one wins', async (t) => {
  const { service, client, post, outcome } = await setup(t, 2);
  let { etag = '' } = (await post({ product_id: 'p', price: 0, stock: 0 })).headers;
  for (let n = 0; n < RACES; n++) {
    const race = (price: number) =>
      client.send('PATCH', '/api/v1/products/p', JSON.stringify({ price }), { 'if-match': etag });
    const answers = await Promise.all([race(2 * n + 1), race(2 * n + 2)]);
    t.strictSame(answers.map(({ status }) => status).sort(), [200, 412]);
    const won = answers[0].status === 200 ? 0 : 1;
    t.equal(stateOf(service, 'p')?.price, 2 * n + 1 + won, 'the winner is what stands');
    t.strictSame(
      await Promise.all(answers.map(outcome)),
      won ? ['refused', 'applied'] : ['applied', 'refused'],
    );
    etag = answers[won]?.headers.etag ?? '';
  }
});

t.test('an event that kills its applier is dead, and said to be', async (t) => {
  installDeaths();
  const options = { threads: { applier: DEADLY_APPLIER } };
  const { port, service } = await startReadyService(t, { DATA_DIR: tempDir(t) }, options);
  const { patch, outcome } = writes(t, port);
  const answer = await patch('p', { price: DEADLY_ALWAYS });
  t.equal(answer.status, 500);
  t.equal(codeOf(answer), 'event-dead');
  t.equal(await outcome(answer), 'dead');
  t.equal(stateOf(service, 'p'), undefined);
});
