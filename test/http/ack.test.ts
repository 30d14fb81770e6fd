/** `?ack=`: the level at which a write is answered, and what it says then. */
import t, { type Test } from 'tap';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

const EVENT = { product_id: 'abc123', price: 49.99, stock: 100 };

function setup(t: Test, overrides: Parameters<typeof fakeApp>[0] = {}) {
  const fakes = fakeApp(overrides);
  t.teardown(() => fakes.app.close());
  const post = (query: string, payload: object = EVENT) =>
    fakes.app.inject({ method: 'POST', url: `/api/v1/events${query}`, payload });
  return { ...fakes, post };
}

t.test('the request decides over the default', async (t) => {
  for (const ackDefault of ['accepted', 'durable', 'applied'] as const) {
    const { post } = setup(t, { ackDefault });
    t.match((await post('?ack=accepted')).json(), { status: 'accepted' });
    t.match((await post('?ack=durable')).json(), { status: 'durable' });
    t.match((await post('?ack=applied')).json(), { status: 'applied' });
    t.match((await post('')).json(), { status: ackDefault });
  }
});

t.test('accepted leaves no waiter and states no number', async (t) => {
  const { post, intake } = setup(t);
  const response = await post('?ack=accepted');
  t.equal(response.statusCode, 202);
  t.equal(response.body, '{"status":"accepted","product_id":"abc123"}');
  t.equal(intake.offers[0]?.waiter, undefined);
});

t.test('applied answers 200, and only when the event is applied', async (t) => {
  const { post, intake, outcomes } = setup(t);
  intake.autoDurable = false;
  outcomes.autoApply = false;
  const offered = intake.nextOffer();
  const answer = post('?ack=applied');
  const { waiter } = await offered;
  waiter?.durable(7);
  let answered = false;
  void answer.then(() => {
    answered = true;
  });
  await new Promise(setImmediate);
  t.notOk(answered, 'durable is not enough');
  t.match(outcomes.waiting, [{ seq: 7 }]);
  outcomes.waiting[0]?.onApplied();
  const response = await answer;
  t.equal(response.statusCode, 200);
  t.equal(response.body, '{"status":"applied","product_id":"abc123","seq":7}');
});

t.test('an event that is dead is not called applied', async (t) => {
  const { post, intake, outcomes } = setup(t);
  intake.autoDurable = false;
  outcomes.found.set(9, 'dead');
  const offered = intake.nextOffer();
  const answer = post('?ack=applied');
  (await offered).waiter?.durable(9);
  const response = await answer;
  t.equal(response.statusCode, 500);
  t.match(response.json(), { code: 'event-dead', detail: /seq 9/ });
});

t.test('another value, one given twice or another parameter is refused by name', async (t) => {
  const { post, intake } = setup(t);
  for (const query of ['?ack=', '?ack=DURABLE', '?ack=durable&ack=applied']) {
    const response = await post(query);
    t.equal(response.statusCode, 400, query);
    t.match(response.json(), { code: 'invalid-parameter', detail: /^ack must/, outcome: 'none' });
  }
  const unknown = await post('?acks=durable');
  t.equal(unknown.statusCode, 400);
  t.match(unknown.json(), { code: 'invalid-parameter', detail: /"acks" is unknown/ });
  t.equal(intake.offers.length, 0, 'nothing was taken');
});
