/** `PATCH` and `DELETE /api/v1/products/{id}`: what they take, and what they make of it. */
import t, { type Test } from 'tap';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

function setup(t: Test) {
  const fakes = fakeApp();
  t.teardown(() => fakes.app.close());
  const send = (method: 'PATCH' | 'DELETE', url: string, body?: string, headers = {}) =>
    fakes.app.inject({
      method,
      url: `/api/v1/products/${url}`,
      ...(body === undefined ? {} : { payload: body }),
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    });
  return { ...fakes, send };
}

t.test('PATCH offers what is given and leaves the rest out', async (t) => {
  const { send, intake } = setup(t);
  const rest = { price: undefined, stock: undefined, occurredAtMs: undefined };
  for (const [id, body, event] of [
    ['p', '{"price":1.5}', { ...rest, productId: 'p', price: 1.5 }],
    [
      'p',
      '{"stock":3,"occurred_at":1000}',
      { ...rest, productId: 'p', stock: 3, occurredAtMs: 1000 },
    ],
    [
      'a%2Fb%20%C3%A9',
      '{"price":0,"stock":0}',
      { ...rest, productId: 'a/b é', price: 0, stock: 0 },
    ],
    ['p', '{"price":-0}', { ...rest, productId: 'p', price: 0 }],
    ['p', '\ufeff{"price":2}', { ...rest, productId: 'p', price: 2 }],
  ] as const) {
    const response = await send('PATCH', id, body);
    t.equal(response.statusCode, 202, body);
    t.strictSame(intake.offers.at(-1)?.event, event, body);
    const seq = intake.offers.length;
    t.strictSame(response.json(), { status: 'durable', product_id: event.productId, seq });
    t.equal(response.headers.location, `/api/v1/events/${seq}`);
  }
});

t.test('PATCH takes a merge patch, too, and no other media type', async (t) => {
  const { send } = setup(t);
  const type = (contentType: string) =>
    send('PATCH', 'p', '{"price":1}', { 'content-type': contentType });
  t.equal((await type('application/merge-patch+json')).statusCode, 202);
  t.equal((await type('application/merge-patch+json; charset=utf-8')).statusCode, 202);
  for (const other of [
    'application/json-patch+json',
    'text/plain',
    'application/json; charset=x',
  ]) {
    const response = await type(other);
    t.equal(response.statusCode, 415, other);
    t.equal(response.headers['accept-patch'], 'application/merge-patch+json, application/json');
  }
});

t.test('DELETE takes any content type that is one, as no body comes', async (t) => {
  const { send } = setup(t);
  const withType = (type: string) => send('DELETE', 'p', undefined, { 'content-type': type });
  t.equal((await withType('text/plain')).statusCode, 202);
  const refused = await withType('x');
  t.equal(refused.statusCode, 415);
  t.equal(refused.json().code, 'unsupported-media-type');
});

t.test('PATCH says everything that is wrong with a body', async (t) => {
  const { send, intake } = setup(t);
  const isNull = /can't be taken away alone.*DELETE delists/;
  for (const [body, errors] of [
    ['{}', [{ pointer: '', detail: /needs price or stock/ }]],
    ['{"occurred_at":1,"event_id":"e"}', [{ pointer: '', detail: /needs price or stock/ }]],
    ['{"price":null}', [{ pointer: '/price', detail: isNull }]],
    [
      '{"price":null,"stock":null}',
      [
        { pointer: '/price', detail: isNull },
        { pointer: '/stock', detail: isNull },
      ],
    ],
    ['{"price":-1}', [{ pointer: '/price', detail: /finite number, 0 or more/ }]],
    ['{"stock":1.5}', [{ pointer: '/stock', detail: /integer/ }]],
    ['{"price":1,"product_id":"p"}', [{ pointer: '/product_id', detail: /unknown/ }]],
    ['{"price":1,"event_id":""}', [{ pointer: '/event_id', detail: /1 to 128 bytes/ }]],
    ['{"price":1,"occurred_at":9e15}', [{ pointer: '/occurred_at', detail: /future/ }]],
    [
      '{"occurred_at":9e15}',
      [
        { pointer: '/occurred_at', detail: /future/ },
        { pointer: '', detail: /needs/ },
      ],
    ],
    ['[]', [{ pointer: '', detail: /must be a JSON object/ }]],
    ['null', [{ pointer: '', detail: /must be a JSON object/ }]],
  ] as const) {
    const response = await send('PATCH', 'p', body);
    t.equal(response.statusCode, 400, body);
    t.equal(response.json().code, 'invalid-event', body);
    t.match(response.json().errors, errors, body);
    t.equal(response.json().errors.length, errors.length, body);
  }
  t.equal((await send('PATCH', 'p')).json().code, 'empty-body');
  t.equal(intake.offers.length, 0);
});

t.test('DELETE offers a delist, with the time of the URL', async (t) => {
  const { send, intake } = setup(t);
  const event = { productId: 'p', price: undefined, stock: undefined, isDelete: true };
  for (const [query, occurredAtMs] of [
    ['', undefined],
    ['?occurred_at=1700000000000', 1700000000000],
    ['?occurred_at=-5', -5],
    ['?occurred_at=1970-01-01T01:00:01%2B01:00', 1000],
    ['?occurred_at=1970-01-01T00:00:01Z&ack=durable', 1000],
  ] as const) {
    const response = await send('DELETE', `p${query}`);
    t.equal(response.statusCode, 202, query);
    t.strictSame(intake.offers.at(-1)?.event, { ...event, occurredAtMs }, query);
    t.match(response.json(), { status: 'durable', product_id: 'p' });
  }
});

t.test('DELETE names what is wrong with its URL', async (t) => {
  const { send, intake } = setup(t);
  for (const [query, detail] of [
    ['?occurred_at=', /^occurred_at must/],
    ['?occurred_at=now', /^occurred_at must/],
    ['?occurred_at=1970-01-01T01:00:01+01:00', /%2B/],
    ['?occurred_at=-99999999999999', /^occurred_at must/],
    ['?occurred_at=1&occurred_at=2', /^occurred_at must/],
    ['?occurred_at=9000000000000000', /future/],
    ['?ack=no', /^ack must/],
    ['?at=1', /"at" is unknown; this route knows ack and occurred_at/],
  ] as const) {
    const response = await send('DELETE', `p${query}`);
    t.equal(response.statusCode, 400, query);
    t.match(response.json(), { code: 'invalid-parameter', detail, outcome: 'none' }, query);
  }
  t.equal(intake.offers.length, 0);
});

t.test('DELETE takes no body, but minds no content type without one', async (t) => {
  const { send, intake } = setup(t);
  const response = await send('DELETE', 'p', '{"occurred_at":1}');
  t.equal(response.statusCode, 400);
  t.match(response.json(), { code: 'bad-request', detail: /takes no body/ });
  t.equal(intake.offers.length, 0);
  for (const headers of [
    { 'content-type': 'application/json' },
    { 'content-type': 'application/json', 'content-length': '0' },
  ]) {
    t.equal((await send('DELETE', 'p', undefined, headers)).statusCode, 202);
  }
});

t.test('an id that no product can have is refused', async (t) => {
  const { send, intake } = setup(t);
  for (const [id, rule] of [
    ['x'.repeat(65), /longer than 64 bytes/],
    ['%C3%A9'.repeat(33), /longer than 64 bytes/],
    ['a%00', /control characters/],
  ] as const) {
    for (const response of [await send('PATCH', id, '{"price":1}'), await send('DELETE', id)]) {
      t.equal(response.statusCode, 400, id);
      t.match(response.json(), { code: 'invalid-parameter', detail: rule }, id);
    }
  }
  t.equal(intake.offers.length, 0);
});

t.test('nothing is taken while the service does not serve', async (t) => {
  const { send, intake, lifecycle } = setup(t);
  lifecycle.phase = 'stopping';
  t.equal((await send('PATCH', 'p', '{"price":1}')).statusCode, 503);
  t.equal((await send('DELETE', 'p')).statusCode, 503);
  t.equal(intake.offers.length, 0);
});
