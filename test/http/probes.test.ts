/** Health, liveness and readiness in every phase, and what the phases do to the API. */
import t from 'tap';
import type { Phase } from '../../src/lifecycle.ts';
import { FakeLifecycle, fakeApp } from '../helpers/fakes/http-fakes.ts';

const PHASES: readonly Phase[] = ['starting', 'ready', 'draining', 'stopping', 'stopped'];
const EVENT = { product_id: 'p', price: 1, stock: 1 };

t.test('health and livez answer 200 in every phase, and without storage', async (t) => {
  const { app, lifecycle } = fakeApp();
  t.teardown(() => app.close());
  for (const phase of PHASES) {
    for (const storageAvailable of [true, false]) {
      Object.assign(lifecycle, { phase, storageAvailable });
      const health = await app.inject('/health');
      t.equal(health.statusCode, 200, phase);
      t.equal(health.body, '{"status":"healthy"}');
      t.equal(health.headers['content-type'], 'application/json; charset=utf-8');
      t.equal((await app.inject('/livez')).statusCode, 200, phase);
    }
  }
});

t.test('readyz is green only when ready with storage', async (t) => {
  const { app, lifecycle } = fakeApp();
  t.teardown(() => app.close());
  for (const [phase, storageAvailable, code] of [
    ['ready', true, undefined],
    ['ready', false, 'storage-unavailable'],
    ['starting', true, 'not-ready'],
    ['starting', false, 'not-ready'],
    ['draining', true, 'stopping'],
    ['stopping', true, 'stopping'],
    ['stopped', true, 'stopping'],
  ] as const) {
    Object.assign(lifecycle, { phase, storageAvailable });
    const response = await app.inject('/readyz');
    if (code === undefined) {
      t.equal(response.statusCode, 200, phase);
      t.equal(response.body, '{"status":"ready"}');
    } else {
      t.equal(response.statusCode, 503, phase);
      t.equal(response.headers['content-type'], 'application/problem+json');
      t.equal(response.json().code, code, phase);
    }
  }
});

t.test('writes and reads follow the phase', async (t) => {
  const { app, intake, products, lifecycle } = fakeApp();
  t.teardown(() => app.close());
  products.put('p', 1, 1, 1);
  for (const [phase, write, read] of [
    ['starting', 'not-ready', 'not-ready'],
    ['ready', undefined, undefined],
    ['draining', undefined, undefined],
    ['stopping', 'stopping', undefined],
    ['stopped', 'stopping', 'stopping'],
  ] as const) {
    lifecycle.phase = phase;
    const offersBefore = intake.offers.length;
    const posted = await app.inject({ method: 'POST', url: '/api/v1/events', payload: EVENT });
    const got = await app.inject('/api/v1/products/p');
    t.equal(posted.statusCode, write === undefined ? 202 : 503, `${phase}: POST`);
    t.equal(got.statusCode, read === undefined ? 200 : 503, `${phase}: GET`);
    t.equal(intake.offers.length - offersBefore, write === undefined ? 1 : 0, phase);
    if (write !== undefined) {
      t.equal(posted.json().code, write);
      t.equal(posted.json().outcome, 'none');
      t.match(posted.headers['retry-after'], /^[1-9]\d*$/);
    }
    if (read !== undefined) {
      t.equal(got.json().code, read);
      t.match(got.headers['retry-after'], /^[1-9]\d*$/);
    }
  }
});

t.test('a refused write is refused before its body is judged', async (t) => {
  const { app, lifecycle } = fakeApp();
  t.teardown(() => app.close());
  lifecycle.phase = 'starting';
  const response = await app.inject({ method: 'POST', url: '/api/v1/events', payload: 'x' });
  t.equal(response.json().code, 'not-ready');
});

t.test('readyz says how far a long start has come', async (t) => {
  const lifecycle = Object.assign(new FakeLifecycle(), { phase: 'starting', replayedPercent: 45 });
  const { app } = fakeApp({ lifecycle });
  t.teardown(() => app.close());
  const response = await app.inject('/readyz');
  t.equal(response.statusCode, 503);
  t.match(response.json(), { code: 'not-ready', detail: /45 % of the log/ });
});

t.test('readyz is red while a thread is stalled, and names it; livez stays green', async (t) => {
  const { app, lifecycle } = fakeApp();
  t.teardown(() => app.close());
  lifecycle.stalled = 'No progress: applier 1 for 6 s, with 70 events waiting.';
  const response = await app.inject('/readyz');
  t.equal(response.statusCode, 503);
  t.match(response.json(), { code: 'stalled', detail: lifecycle.stalled });
  t.equal((await app.inject('/livez')).statusCode, 200);
  lifecycle.storageAvailable = false;
  t.equal(
    (await app.inject('/readyz')).json().code,
    'storage-unavailable',
    'the cause comes first',
  );
  t.equal((await app.inject('/readyz?for=reads')).statusCode, 200, 'reads are answered');
  t.equal((await app.inject('/readyz?for=writes')).statusCode, 503);
});

t.test('readyz shows each check if asked to be verbose, green or red', async (t) => {
  const { app, lifecycle } = fakeApp();
  t.teardown(() => app.close());
  lifecycle.shown = [
    { name: 'log', ok: true, state: 'serving' },
    { name: 'disk', ok: false, state: 'full', detail: 'in words' },
  ];
  const checks = lifecycle.shown;
  for (const url of ['/readyz?verbose', '/readyz?verbose=1', '/readyz?x=1&verbose=']) {
    const green = await app.inject(url);
    t.strictSame(green.json(), { status: 'ready', checks }, url);
  }
  lifecycle.storageAvailable = false;
  const red = await app.inject('/readyz?verbose');
  t.equal(red.statusCode, 503);
  t.match(red.json(), { code: 'storage-unavailable', checks });
  t.notOk('checks' in (await app.inject('/readyz')).json());
});
