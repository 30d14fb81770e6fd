/** What pages of other origins are told: nothing by default, and exactly the listed ones what they need. */
import { request } from 'node:http';
import t, { type Test } from 'tap';
import { bounded } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 60_000;
const LISTED = 'https://shop.example';
const ALSO = 'http://localhost:5173';
const OTHERS = [
  'https://other.example',
  'https://shop.example.evil',
  'http://shop.example',
  'null',
];

const ASKS: readonly [method: string, path: string, status: number][] = [
  ['GET', '/api/v1/products/none', 404],
  ['GET', '/api/v1/products', 200],
  ['GET', '/api/v1/changes?since=0&limit=1', 200],
  ['POST', '/api/v1/events', 400],
  ['GET', '/no/such/path', 404],
  ['PUT', '/api/v1/products', 405],
  ['GET', '/%zz', 400],
  ['GET', '/health', 200],
  ['GET', '/openapi.json', 200],
];

async function start(t: Test, env: Readonly<Record<string, string>>) {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t), ...env });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  return { client, port };
}

t.test('without CORS_ORIGINS no answer names an origin', async (t) => {
  const { client } = await start(t, {});
  for (const [method, path, status] of ASKS) {
    const answer = await client.send(method, path, undefined, { origin: LISTED });
    t.equal(answer.status, status, path);
    const named = Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'));
    t.strictSame(named, [], path);
    t.equal(answer.headers['x-content-type-options'], 'nosniff', path);
  }
  const preflight = { origin: LISTED, 'access-control-request-method': 'POST' };
  const { status } = await client.send('OPTIONS', '/api/v1/events', undefined, preflight);
  t.equal(status, 405);
});

t.test('every answer to a listed origin may be read by it, and by no other', async (t) => {
  const { client } = await start(t, { CORS_ORIGINS: `${LISTED}, ${ALSO}` });
  for (const [method, path, status] of ASKS) {
    for (const origin of [LISTED, ALSO, ...OTHERS, undefined]) {
      const headers = origin === undefined ? {} : { origin };
      const answer = await client.send(method, path, undefined, headers);
      t.equal(answer.status, status, path);
      const isListed = origin === LISTED || origin === ALSO;
      const { headers: told } = answer;
      t.equal(
        told['access-control-allow-origin'],
        isListed ? origin : undefined,
        `${path} ${origin}`,
      );
      t.equal('access-control-expose-headers' in told, isListed);
      t.notOk('access-control-allow-credentials' in told);
      t.match(told.vary, /(^|, )origin$/, 'caches keep them apart');
      if (status === 200 && path === '/api/v1/products')
        t.match(told.vary, /^accept, accept-encoding, origin$/);
    }
  }
});

t.test('a stream that others follow as well names each its own origin', async (t) => {
  const { port } = await start(t, { CORS_ORIGINS: `${LISTED}, ${ALSO}` });
  const allowed = (origin: string) => {
    const told = new Promise((resolve, reject) => {
      const call = request({ port, path: '/api/v1/changes', headers: { origin }, agent: false });
      t.teardown(() => call.destroy());
      call.on('error', reject);
      call.on('response', ({ headers }) => resolve(headers['access-control-allow-origin']));
      call.end();
    });
    return bounded(told, WAIT_MS_MAX, 'the stream');
  };
  const seen: unknown[] = [];
  for (const origin of [LISTED, ALSO, 'https://other.example']) seen.push(await allowed(origin));
  t.strictSame(seen, [LISTED, ALSO, undefined]);
});

t.test('a preflight is answered before anything else, for listed origins', async (t) => {
  const { client } = await start(t, { CORS_ORIGINS: LISTED, RATE_LIMIT: '1/1h' });
  const ask = (origin: string) =>
    client.send('OPTIONS', '/api/v1/products/a', undefined, {
      origin,
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'authorization,content-type,if-match',
    });
  for (let i = 0; i < 3; i++) {
    const { status, headers } = await ask(LISTED);
    t.equal(status, 204);
    t.match(headers, {
      'access-control-allow-origin': LISTED,
      'access-control-allow-methods': 'GET, HEAD, POST, PATCH, DELETE',
      'access-control-allow-headers': /authorization.*content-type.*if-match/,
      'access-control-max-age': '600',
    });
  }
  const { status, headers } = await ask('https://other.example');
  t.equal(status, 405);
  t.notOk('access-control-allow-origin' in headers);
});
