/** `POST /api/v1/events`: what becomes of a valid event, and what its client is told. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { Offer } from '../../src/intake/event-intake.ts';
import { postEvent, RawClient } from '../helpers/clients/raw-client.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

const EVENT = { product_id: 'abc123', price: 49.99, stock: 100 };

/** Not `once`, which rejects at the reset that is meant to happen. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

function setup(t: Test, overrides: Parameters<typeof fakeApp>[0] = {}) {
  const fakes = fakeApp(overrides);
  t.teardown(() => fakes.app.close());
  const post = (payload: object = EVENT) =>
    fakes.app.inject({ method: 'POST', url: '/api/v1/events', payload });
  return { ...fakes, post };
}

t.test('answers 202 with the number once the event is durable, and not before', async (t) => {
  const { intake, post } = setup(t);
  intake.autoDurable = false;
  const offered = intake.nextOffer();
  const answer = post();
  const { waiter } = await offered;
  let answered = false;
  void answer.then(() => {
    answered = true;
  });
  await new Promise(setImmediate);
  t.notOk(answered);
  waiter?.durable(9007199254740991);
  const response = await answer;
  t.equal(response.statusCode, 202);
  t.equal(response.body, '{"status":"durable","product_id":"abc123","seq":9007199254740991}');
  t.equal(response.headers['content-type'], 'application/json; charset=utf-8');
});

t.test('escapes the id in its answer', async (t) => {
  const { post } = setup(t);
  for (const id of ['"\\', '😀', '</script>', '\u2028']) {
    const response = await post({ ...EVENT, product_id: id });
    t.strictSame(response.json(), { status: 'durable', product_id: id, seq: response.json().seq });
  }
});

t.test('with ack accepted it answers at once and leaves no waiter', async (t) => {
  const { intake, post } = setup(t, { ackDefault: 'accepted' });
  const response = await post();
  t.equal(response.statusCode, 202);
  t.equal(response.body, '{"status":"accepted","product_id":"abc123"}');
  t.equal(intake.offers[0].waiter, undefined);
});

t.test('many pending events get their own answers, in any order', async (t) => {
  const { intake, post } = setup(t);
  intake.autoDurable = false;
  const answers = [];
  for (let i = 0; i < 20; i++) {
    const offered = intake.nextOffer();
    answers.push(post({ ...EVENT, product_id: `p${i}` }));
    await offered;
  }
  for (let i = 19; i >= 0; i--) intake.offers[i].waiter?.durable(100 + i);
  for (const [i, answer] of answers.entries()) {
    t.strictSame((await answer).json(), { status: 'durable', product_id: `p${i}`, seq: 100 + i });
  }
});

for (const ackDefault of ['durable', 'accepted'] as const) {
  t.test(`says why an offer was refused (ack ${ackDefault})`, async (t) => {
    const { intake, post } = setup(t, { ackDefault });
    for (const [offer, status, code, retryAfter] of [
      ['queue-full', 503, 'queue-full', '7'],
      ['store-full', 507, 'store-full', undefined],
      ['storage-unavailable', 503, 'storage-unavailable', '7'],
      ['closed', 503, 'stopping', '1'],
    ] as [Offer, number, string, string | undefined][]) {
      intake.answer = offer;
      const response = await post();
      t.equal(response.statusCode, status, offer);
      t.equal(response.headers['content-type'], 'application/problem+json');
      t.equal(response.json().code, code);
      t.equal(response.json().outcome, 'none');
      t.equal(response.headers['retry-after'], retryAfter);
    }
  });
}

t.test('tells the outcome of an event that will not be acknowledged', async (t) => {
  const { intake, post } = setup(t);
  intake.autoDurable = false;
  for (const outcome of ['none', 'unknown'] as const) {
    const offered = intake.nextOffer();
    const answer = post();
    (await offered).waiter?.failed(outcome);
    const response = await answer;
    t.equal(response.statusCode, 503);
    t.equal(response.json().code, 'storage-unavailable');
    t.equal(response.json().outcome, outcome);
    t.equal(response.headers['retry-after'], '7');
  }
});

t.test('offers an undecided event again until it is decided', async (t) => {
  const { intake, post } = setup(t);
  for (const [last, status] of [
    ['queued', 202],
    ['store-full', 507],
    ['queue-full', 503],
  ] as [Offer, number][]) {
    const before = intake.offers.length;
    intake.answers = ['undecided', 'undecided', 'undecided', last];
    t.equal((await post()).statusCode, status, last);
    t.equal(intake.offers.length - before, 4, last);
  }
});

t.test('offers an undecided event again with ack accepted too', async (t) => {
  const { intake, post } = setup(t, { ackDefault: 'accepted' });
  intake.answers = ['undecided', 'queued'];
  t.equal((await post()).json().status, 'accepted');
  t.equal(intake.offers.length, 2);
});

t.test('answers 503 queue-full when an event stays undecided for a second', async (t) => {
  const { intake, post } = setup(t);
  intake.answer = 'undecided';
  const startMs = performance.now();
  const response = await post();
  const tookMs = performance.now() - startMs;
  t.equal(response.statusCode, 503);
  t.equal(response.json().code, 'queue-full');
  t.equal(response.json().outcome, 'none');
  t.equal(response.headers['retry-after'], '7');
  t.ok(tookMs >= 1000, `${tookMs} ms`);
});

t.test('a client that went away while its event is pending disturbs nobody', async (t) => {
  const { app, intake } = setup(t);
  intake.autoDurable = false;
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as { port: number };
  for (const fate of ['durable', 'failed'] as const) {
    const [client, [serverSide]] = await Promise.all([
      RawClient.connect(port),
      once(app.server, 'connection'),
    ]);
    const offered = intake.nextOffer();
    client.send(postEvent('p'));
    const { waiter } = await offered;
    const closed = closeOf(serverSide);
    client.socket.resetAndDestroy();
    await closed;
    t.doesNotThrow(() => (fate === 'durable' ? waiter?.durable(1) : waiter?.failed('none')));
  }
  const next = await RawClient.connect(port);
  const offered = intake.nextOffer();
  next.send(postEvent('q'));
  (await offered).waiter?.durable(2);
  await next.until(/"seq":2\}$/);
  next.close();
});

t.test('an undecided event of a client that went away is offered no more', async (t) => {
  const { app, intake } = setup(t);
  intake.answer = 'undecided';
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as { port: number };
  const [client, [serverSide]] = await Promise.all([
    RawClient.connect(port),
    once(app.server, 'connection'),
  ]);
  const offered = intake.nextOffer();
  client.send(postEvent('p'));
  await offered;
  const closed = closeOf(serverSide);
  client.socket.resetAndDestroy();
  await closed;
  await new Promise(setImmediate);
  const offers = intake.offers.length;
  intake.answer = 'queued';
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  t.equal(intake.offers.length, offers);
});
