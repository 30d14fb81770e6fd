/** What a client is told when it comes too often, and who counts as one. On the whole service. */
import t, { type Test } from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { line, lines, openBatch, sendBatch } from '../helpers/clients/batch-client.ts';
import { RawConnection } from '../helpers/clients/raw-connection.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { claims, SECRET, secretToken } from '../helpers/tokens.ts';

/** Nothing worth speaking of is earned while a test runs, but for what Retry-After counts down. */
const HOUR_SECONDS = 3600;

async function start(t: Test, env: Readonly<Record<string, string>>) {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t), ...env });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  return { port, client };
}

const leftOf = (field: string | string[] | undefined) => /;r=(\d+);/.exec(String(field))?.[1];

t.test('every answer says what is left, and then there is a 429', async (t) => {
  const { client } = await start(t, { RATE_LIMIT_READ: '8/1h' });
  const asks: readonly [method: string, path: string, status: number][] = [
    ['GET', '/api/v1/products', 200],
    ['GET', '/api/v1/products/none', 404],
    ['GET', '/api/v1/products?limit=x', 400],
    ['GET', '/no/such/path', 404],
    ['PUT', '/api/v1/products', 405],
    ['DELETE', '/api/v1/events/batch', 405],
    ['GET', '/%zz', 400],
    ['GET', '/openapi.json', 200],
  ];
  for (const [i, [method, path, status]] of asks.entries()) {
    const answer = await client.send(method, path);
    t.equal(answer.status, status, path);
    t.match(answer.headers, { 'ratelimit-policy': '"read";q=8;w=3600' }, path);
    t.equal(leftOf(answer.headers.ratelimit), String(7 - i), path);
  }
  for (const [method, path] of asks) {
    const { status, headers, text } = await client.send(method, path);
    t.equal(status, 429, path);
    const wait = Number(headers['retry-after']);
    t.ok(wait > 0 && wait <= HOUR_SECONDS / 8, `${path}: ${wait}`);
    t.equal(headers.ratelimit, `"read";r=0;t=${wait}`);
    t.equal(headers['ratelimit-policy'], '"read";q=8;w=3600');
    t.match(JSON.parse(text), {
      code: 'rate-limited',
      detail: 'A client may have 8 reads in 3600 s.',
    });
  }
  for (const path of ['/health', '/livez', '/readyz']) {
    const { status, headers } = await client.get(path);
    t.equal(status, 200, path);
    t.notOk('ratelimit' in headers, path);
  }
  t.equal((await client.post({ product_id: 'a', price: 1, stock: 1 })).status, 202, 'no write');
});

t.test('refused writes count as well, and nothing of a 429 is taken', async (t) => {
  const { client, port } = await start(t, { RATE_LIMIT: '3/1h', RATE_LIMIT_READ: 'off' });
  t.equal((await client.post({ product_id: 'a', price: 1, stock: 1 })).status, 202);
  t.equal((await client.send('POST', '/api/v1/events', '{')).status, 400);
  const patch = { 'content-type': 'text/plain' };
  t.equal((await client.send('PATCH', '/api/v1/products/a', '{}', patch)).status, 415);
  const { status, text } = await client.post({ product_id: 'a', price: 2, stock: 1 });
  t.equal(status, 429);
  t.match(JSON.parse(text), { code: 'rate-limited', outcome: 'none' });
  t.equal((await client.product('a'))?.price, 1);
  t.equal((await sendBatch(port, lines(3))).status, 202, 'batches have a quota of their own');
  t.equal((await sendBatch(port, lines(1))).status, 429, 'of the same size');
  const waiting = await RawConnection.open(t, port);
  waiting.send(
    'POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n' +
      'content-length: 50\r\nexpect: 100-continue\r\n\r\n',
  );
  await waiting.received(/^HTTP\/1\.1 429 /);
  t.pass('refused before the body was asked for');
});

t.test('of batches the events count, and what one had too many its client owes', async (t) => {
  const { port } = await start(t, { RATE_LIMIT_BULK: '100/1h' });
  const first = await sendBatch(port, lines(60));
  t.equal(first.status, 202);
  t.equal(first.headers['ratelimit-policy'], '"bulk";q=100;w=3600;qu="event"');
  const faulty = await sendBatch(port, `${line('a', -1)}x\n`.repeat(10));
  t.match(faulty, { status: 400, body: { rejected: 20 } });
  t.equal(leftOf(faulty.headers.ratelimit), '39', 'when it was let in');
  const second = await sendBatch(port, lines(300));
  t.match(second, { status: 202, body: { accepted: 300 } });
  const third = await sendBatch(port, lines(1));
  t.equal(third.status, 429);
  t.match(third.body, { code: 'rate-limited', outcome: 'none' });
  t.match(third.body.detail, 'A client may have 100 events in batches in 3600 s.');
  const wait = Number(third.headers['retry-after']);
  // 380 were read, so 281 must be earned before there is one, 36 s each.
  t.ok(wait > 280 * 36 && wait <= 281 * 36, `${wait}`);
});

t.test('a stream that owes for long ends where it is, and says so', async (t) => {
  const { port, client } = await start(t, { RATE_LIMIT_BULK: '10/1h' });
  const { call, answered } = openBatch(port, { query: '?on_error=continue' });
  call.write(lines(50));
  const { status, headers, body } = await answered;
  call.destroy();
  t.equal(status, 429);
  t.match(body, { code: 'rate-limited', outcome: 'partial', accepted: 50, rejected: 0 });
  t.ok(Number(headers['retry-after']) > 39 * 360);
  await client.visible('p49', 49);
});

t.test('a stream is slowed down to its rate, and nothing of it is lost', async (t) => {
  const { port } = await start(t, { RATE_LIMIT_BULK: '4000/1s' });
  const answer = await sendBatch(port, lines(12_000), { query: '?on_error=continue' });
  t.match(answer, { status: 202, body: { accepted: 12_000 } });
});

t.test('only a trusted proxy is believed who its client is', async (t) => {
  const { client } = await start(t, { RATE_LIMIT_READ: '2/1h', TRUST_PROXY: '127.0.0.0/8, ::1' });
  const asked = async (forwarded: string) => {
    const headers = { 'x-forwarded-for': forwarded };
    return (await client.send('GET', '/api/v1/products', undefined, headers)).status;
  };
  const statuses: Record<string, number[]> = {};
  const ask = async (as: string, forwarded: string) => {
    statuses[as] = [...(statuses[as] ?? []), await asked(forwarded)];
  };
  for (const spoofed of ['', '10.9.8.7, ', '192.0.2.1, ']) await ask('a', `${spoofed}192.0.2.7`);
  await ask('b', '192.0.2.8');
  for (const host of ['1', '2:3', 'ffff']) await ask('v6', `2001:db8:7:7::${host}`);
  await ask('other network', '2001:db8:7:8::1');
  for (let i = 0; i < 2; i++) await ask('through two of them', '192.0.2.8, 127.0.0.9');
  t.strictSame(statuses, {
    a: [200, 200, 429],
    b: [200],
    v6: [200, 200, 429],
    'other network': [200],
    'through two of them': [200, 429],
  });
});

t.test('without one, X-Forwarded-For is just a header', async (t) => {
  const { client } = await start(t, { RATE_LIMIT_READ: '2/1h' });
  const statuses: number[] = [];
  for (const n of [1, 2, 3]) {
    const headers = { 'x-forwarded-for': `192.0.2.${n}` };
    statuses.push((await client.send('GET', '/api/v1/products', undefined, headers)).status);
  }
  t.strictSame(statuses, [200, 200, 429]);
});

t.test(
  'with tokens each subject has its quota, and refused logins are their address’s',
  async (t) => {
    const { client } = await start(t, { RATE_LIMIT_READ: '3/1h', JWT_SECRET: SECRET });
    const asked = async (token: string | undefined, path = '/api/v1/products') => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return (await client.send('GET', path, undefined, headers)).status;
    };
    const tokenOf = (sub: string, jti: string) =>
      secretToken(claims({ sub, jti, roles: ['reader'] }));
    const [a, again, b, late] = await Promise.all([
      tokenOf('a', '1'),
      tokenOf('a', '2'),
      tokenOf('b', '1'),
      tokenOf('late', '1'),
    ]);
    const ofA: number[] = [];
    for (const token of [a, again, a, again, a]) ofA.push(await asked(token));
    t.strictSame(ofA, [200, 200, 200, 429, 429], 'whichever of its tokens it shows');
    t.equal(await asked(b), 200);
    const refused: number[] = [];
    for (const token of [undefined, 'x', `${b}x`, undefined, 'x']) refused.push(await asked(token));
    t.strictSame(refused, [401, 401, 401, 429, 429]);
    t.equal(await asked(undefined, '/no/such/path'), 429, 'paths that nobody has, too');
    t.equal(await asked(b), 200, 'who was let in before goes on');
    t.equal(await asked(late), 429, 'no signature is verified for that address now');
  },
);
