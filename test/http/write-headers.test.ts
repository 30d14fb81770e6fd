/**
 * Idempotency-Key, event_id and conditions on the routes that write one event. (Over 300 lines: the headers count
 * together, a condition on a repetition among them, and all of it stands on one fake intake.)
 */
import t, { type Test } from 'tap';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import { EXPECTED_NEVER } from '../../src/http/requests/conditions.ts';
import type { EventOutcome } from '../../src/outcome/outcome-window.ts';
import { EXPECTED_ANY, EXPECTED_UNLISTED } from '../../src/ring/slot.ts';
import { fakeApp, NO_BATCHES } from '../helpers/fakes/http-fakes.ts';

const EVENT = { product_id: 'p', price: 1, stock: 2 };

interface Asked {
  readonly query?: string;
  readonly body?: object;
}

function setup(t: Test, overrides: Parameters<typeof fakeApp>[0] = {}) {
  const fakes = fakeApp(overrides);
  t.teardown(() => fakes.app.close());
  const { app } = fakes;
  const post = (headers: Record<string, string>, { query = '', body = {} }: Asked = {}) => {
    const payload = { ...EVENT, ...body };
    return app.inject({ method: 'POST', url: `/api/v1/events${query}`, payload, headers });
  };
  const product = '/api/v1/products/p';
  const patch = (headers: Record<string, string>, { query = '', body = {} }: Asked = {}) =>
    app.inject({ method: 'PATCH', url: product + query, payload: { price: 1, ...body }, headers });
  const remove = (headers: Record<string, string>, { query = '' }: Asked = {}) =>
    app.inject({ method: 'DELETE', url: product + query, headers });
  return { ...fakes, post, patch, remove, all: [post, patch, remove] };
}

/** Lets the next event come to this end. */
function decide(
  { intake }: ReturnType<typeof setup>,
  fate: { readonly seq: number; readonly isReplayed?: boolean } | 'conflict',
): void {
  intake.autoDurable = false;
  void intake.nextOffer().then(({ waiter }) => {
    if (fate === 'conflict') waiter?.conflict();
    else waiter?.durable(fate.seq, fate.isReplayed);
  });
}

t.test('a key in quotes and a bare one are the same', async (t) => {
  const { all, intake } = setup(t);
  for (const send of all) {
    for (const [header, key] of [
      ['abc', 'abc'],
      ['"abc"', 'abc'],
      ['"a\\"b\\\\"', 'a"b\\'],
      ['a"b', 'a"b'],
      ['x'.repeat(255), 'x'.repeat(255)],
      [`"${'x'.repeat(255)}"`, 'x'.repeat(255)],
    ] as const) {
      t.equal((await send({ 'idempotency-key': header })).statusCode, 202, header);
      t.strictSame(intake.offers.at(-1)?.event.key, fingerprintKey('request', key), header);
    }
  }
});

t.test('an invalid key is refused, and nothing is taken', async (t) => {
  const { all, intake } = setup(t);
  const bad = [
    '',
    'a b',
    '"',
    '""',
    '"a',
    '"a"b',
    '"a";p=1',
    '"a\\b"',
    'é',
    'x'.repeat(256),
    'a, b',
  ];
  for (const send of all) {
    for (const header of bad) {
      const response = await send({ 'idempotency-key': header });
      t.equal(response.statusCode, 400, header);
      const detail = /^Idempotency-Key must be 1 to 255/;
      t.match(response.json(), { code: 'invalid-header', detail, outcome: 'none' }, header);
    }
  }
  t.equal(intake.offers.length, 0);
});

t.test('the event_id is the key, also where the request has one', async (t) => {
  const { post, patch, intake } = setup(t);
  for (const send of [post, patch]) {
    for (const headers of [{}, { 'idempotency-key': 'k' }] as Record<string, string>[]) {
      t.equal((await send(headers, { body: { event_id: 'é'.repeat(64) } })).statusCode, 202);
      const { key } = intake.offers.at(-1)?.event ?? {};
      t.strictSame(key, fingerprintKey('event', 'é'.repeat(64)));
    }
  }
  for (const event_id of ['', 'x'.repeat(129), 'é'.repeat(65), 'a\n', '\ud800', 7, null]) {
    const response = await post({}, { body: { event_id } });
    t.equal(response.statusCode, 400);
    t.match(response.json().errors, [{ pointer: '/event_id', detail: /1 to 128 bytes/ }]);
  }
});

t.test('a repetition is answered as the first time, and says so', async (t) => {
  const fakes = setup(t);
  for (const send of fakes.all) {
    decide(fakes, { seq: 17, isReplayed: true });
    const again = await send({ 'idempotency-key': 'k' });
    t.equal(again.statusCode, 202);
    t.equal(again.body, '{"status":"durable","product_id":"p","seq":17}');
    t.equal(again.headers['idempotency-replayed'], 'true');
    t.equal(again.headers.location, '/api/v1/events/17');
    decide(fakes, { seq: 18, isReplayed: false });
    const first = await send({ 'idempotency-key': 'l' });
    t.notOk('idempotency-replayed' in first.headers);
    decide(fakes, { seq: 17, isReplayed: true });
    const applied = await send({ 'idempotency-key': 'k' }, { query: '?ack=applied' });
    t.equal(applied.statusCode, 200);
    t.equal(applied.headers['idempotency-replayed'], 'true');
  }
});

t.test('other content under the same key answers 422', async (t) => {
  const fakes = setup(t);
  for (const send of fakes.all) {
    decide(fakes, 'conflict');
    const response = await send({ 'idempotency-key': 'k' });
    t.equal(response.statusCode, 422);
    t.match(response.json(), { code: 'idempotency-conflict', outcome: 'none' });
    t.notOk('location' in response.headers);
  }
});

t.test('with a key, accepted waits until it is known whether it is a repetition', async (t) => {
  const { post, intake } = setup(t, { ackDefault: 'accepted' });
  const byKey = { status: 'durable', ack_raised_by: 'idempotency-key' };
  t.match((await post({ 'idempotency-key': 'k' })).json(), { ...byKey, seq: 1 });
  const withId = await post({}, { body: { event_id: 'e' } });
  t.match(withId.json(), { status: 'durable', seq: 2, ack_raised_by: 'event_id' });
  const asked = await post({ 'idempotency-key': 'k' }, { query: '?ack=accepted' });
  t.match(asked.json(), { ...byKey, seq: 3 });
  const durable = await post({ 'idempotency-key': 'k' }, { query: '?ack=durable' });
  t.notOk('ack_raised_by' in durable.json(), 'as it was asked for');
  t.equal((await post({})).json().status, 'accepted');
  t.equal(intake.offers.length, 5);
});

t.test('If-Match becomes the expected version and waits for the appliers', async (t) => {
  const { all, intake } = setup(t);
  for (const send of all) {
    for (const [header, expectedSeq] of [
      ['"17"', 17],
      ['*', EXPECTED_ANY],
      // What servers that compress make of a tag: nginx and HAProxy, Apache and Caddy, Jetty.
      ['W/"17"', 17],
      ['"17-gzip"', 17],
      ['W/"17-br"', 17],
      ['"17-zstd"', 17],
      ['"17--gzip"', 17],
      ['"17-1"', EXPECTED_NEVER],
      ['"17-gzip-gzip"', EXPECTED_NEVER],
      ['W/"0"', EXPECTED_NEVER],
      ['"0"', EXPECTED_NEVER],
      ['"017"', EXPECTED_NEVER],
      ['"a,b"', EXPECTED_NEVER],
      ['""', EXPECTED_NEVER],
      ['"9007199254740993"', EXPECTED_NEVER],
    ] as const) {
      const response = await send({ 'if-match': header });
      t.equal(response.statusCode, 200, header);
      t.equal(response.json().status, 'applied', header);
      t.equal(intake.offers.at(-1)?.event.expectedSeq, expectedSeq, header);
    }
  }
});

t.test('an invalid If-Match, or a list, is refused', async (t) => {
  const { all, intake } = setup(t);
  for (const send of all) {
    for (const header of ['', '17', '"17', '"1", "2"', '"1","2"', '*, "1"', 'w/"1"']) {
      const response = await send({ 'if-match': header });
      t.equal(response.statusCode, 400, header);
      t.match(response.json(), { code: 'invalid-header', detail: /^If-Match must be/ }, header);
    }
    for (const query of ['?ack=durable', '?ack=accepted']) {
      const response = await send({ 'if-match': '"1"' }, { query });
      t.match(response.json(), { code: 'invalid-parameter', detail: /^With If-Match, ack/ });
    }
  }
  t.equal(intake.offers.length, 0);
});

t.test(
  'If-None-Match: * asks for a product that is not listed, and waits for the appliers',
  async (t) => {
    const fakes = setup(t);
    const { all, intake, outcomes } = fakes;
    for (const send of all) {
      const response = await send({ 'if-none-match': '*' });
      t.equal(response.statusCode, 200);
      t.equal(response.json().status, 'applied');
      t.equal(intake.offers.at(-1)?.event.expectedSeq, EXPECTED_UNLISTED);
      for (const query of ['?ack=durable', '?ack=accepted']) {
        const early = await send({ 'if-none-match': '*' }, { query });
        t.match(early.json(), { code: 'invalid-parameter', detail: /^With If-None-Match, ack/ });
      }
    }
    outcomes.found.set(9, 'refused');
    decide(fakes, { seq: 9 });
    const refused = await fakes.post({ 'if-none-match': '*' });
    t.equal(refused.statusCode, 412);
    t.match(refused.json(), {
      code: 'precondition-failed',
      detail: /seq 9.*If-None-Match did not hold/,
    });
  },
);

t.test('a condition that is not supported is refused, and nothing is taken', async (t) => {
  const { all, intake } = setup(t);
  const date = 'Sun, 06 Nov 1994 08:49:37 GMT';
  for (const send of all) {
    for (const [headers, detail] of [
      [{ 'if-none-match': '"1"' }, /^If-None-Match on a write must be \*/],
      [{ 'if-none-match': '' }, /^If-None-Match on a write must be \*/],
      [{ 'if-none-match': '*, "1"' }, /^If-None-Match on a write must be \*/],
      [{ 'if-none-match': '"1", "2"' }, /^If-None-Match on a write must be \*/],
      [{ 'if-match': '"1"', 'if-none-match': '*' }, /can never both hold/],
      [{ 'if-match': '*', 'if-none-match': '*' }, /can never both hold/],
      [{ 'if-unmodified-since': date }, /^If-Unmodified-Since is not supported on writes/],
      [{ 'if-modified-since': date }, /^If-Modified-Since is not supported on writes/],
      [{ 'if-range': '"1"' }, /^If-Range is not supported on writes/],
      [{ 'if-range': date, 'if-match': '"1"' }, /^If-Range is not supported on writes/],
    ] as const) {
      const response = await send(headers);
      t.equal(response.statusCode, 400, JSON.stringify(headers));
      t.match(response.json(), { code: 'invalid-header', detail, outcome: 'none' });
    }
  }
  t.equal(intake.offers.length, 0);
});

t.test('a batch takes no condition', async (t) => {
  const { app } = setup(t);
  for (const [header, value] of [
    ['If-Match', '*'],
    ['If-None-Match', '*'],
    ['If-Modified-Since', 'Sun, 06 Nov 1994 08:49:37 GMT'],
    ['If-Unmodified-Since', 'x'],
    ['If-Range', '"1"'],
  ] as const) {
    const response = await app.inject({
      method: 'POST',
      url: '/api/v1/events/batch',
      payload: [EVENT],
      headers: { [header]: value },
    });
    t.equal(response.statusCode, 400, header);
    const detail = new RegExp(`^${header} is not supported on batches`);
    t.match(response.json(), { code: 'invalid-header', detail, outcome: 'none' });
  }
});

t.test('a condition that did not hold answers 412, with the event on record', async (t) => {
  const fakes = setup(t);
  fakes.outcomes.found.set(9, 'refused');
  for (const send of fakes.all) {
    for (const isReplayed of [false, true]) {
      decide(fakes, { seq: 9, isReplayed });
      const response = await send({ 'if-match': '"1"' });
      t.equal(response.statusCode, 412);
      t.match(response.json(), { code: 'precondition-failed', detail: /seq 9.*did not hold/ });
      t.equal(response.headers.location, '/api/v1/events/9');
      t.equal('idempotency-replayed' in response.headers, isReplayed);
    }
  }
});

t.test('the answer has the new tag where the event set it, and only there', async (t) => {
  const fakes = setup(t);
  const { post, patch, remove, outcomes } = fakes;
  decide(fakes, { seq: 7 });
  t.equal((await post({}, { query: '?ack=applied' })).headers.etag, '"7"');
  decide(fakes, { seq: 7 });
  t.equal((await patch({ 'if-match': '"3"' })).headers.etag, '"7"');
  decide(fakes, { seq: 7 });
  const removed = await remove({ 'if-match': '"3"' });
  t.equal(removed.body, '{"status":"applied","product_id":"p","seq":7}');
  t.notOk('etag' in removed.headers, 'what is delisted has none');
  outcomes.found.set(7, 'stale');
  decide(fakes, { seq: 7 });
  const stale = await patch({ 'if-match': '"3"' });
  t.equal(stale.statusCode, 200);
  t.equal(stale.body, '{"status":"applied","product_id":"p","seq":7,"outcome":"stale"}');
  t.notOk('etag' in stale.headers, 'the tag is still the one before');
});

t.test('a repetition whose outcome is no longer kept', async (t) => {
  const fakes = setup(t);
  fakes.outcomes.found.set(7, 'expired');
  decide(fakes, { seq: 7, isReplayed: true });
  const plain = await fakes.post({ 'idempotency-key': 'k' }, { query: '?ack=applied' });
  t.match(plain.json(), { status: 'applied', outcome: 'expired' });
  decide(fakes, { seq: 7, isReplayed: true });
  const conditional = await fakes.post({ 'idempotency-key': 'k', 'if-match': '"3"' });
  t.equal(conditional.statusCode, 404);
  t.match(conditional.json(), { code: 'outcome-expired', detail: /seq 7.*no longer known/ });
});

t.test('GET /api/v1/events/{seq} says what became of an event', async (t) => {
  const { app, outcomes, lifecycle } = setup(t);
  const get = (seq: string) => app.inject(`/api/v1/events/${seq}`);
  for (const outcome of ['durable', 'applied', 'stale', 'refused', 'dead'] as EventOutcome[]) {
    outcomes.found.set(17, outcome);
    const response = await get('17');
    t.equal(response.statusCode, 200, outcome);
    t.equal(response.body, `{"seq":17,"status":"${outcome}"}`);
  }
  outcomes.found.set(18, 'unknown');
  outcomes.found.set(19, 'expired');
  for (const [seq, code] of [
    ['18', 'event-not-found'],
    ['19', 'outcome-expired'],
    ['0', 'event-not-found'],
    ['017', 'event-not-found'],
    ['-1', 'event-not-found'],
    ['1.5', 'event-not-found'],
    ['1e3', 'event-not-found'],
    ['x', 'event-not-found'],
    ['9007199254740992', 'event-not-found'],
    ['99999999999999999999', 'event-not-found'],
  ] as const) {
    const response = await get(seq);
    t.equal(response.statusCode, 404, seq);
    t.equal(response.json().code, code, seq);
  }
  lifecycle.phase = 'starting';
  t.equal((await get('17')).json().code, 'not-ready');
});

t.test('a key that nobody can look up now is no conflict', async (t) => {
  // The log thread died behind the first step of a receipt.
  let known: boolean | 'busy' = 'busy';
  const { all, intake } = setup(t, { batches: { ...NO_BATCHES, hasKey: () => known } });
  for (const send of all) {
    const { statusCode, headers, body } = await send({ 'idempotency-key': 'a' });
    t.equal(statusCode, 503);
    t.match(JSON.parse(body), { code: 'storage-unavailable', outcome: 'none' });
    t.equal(headers['retry-after'], '7');
  }
  t.equal(intake.offers.length, 0);
  known = false;
  for (const send of all) t.ok((await send({ 'idempotency-key': 'a' })).statusCode < 300);
});
