/** Who may call what: the table in docs/security.md, tried on every route, and how a refusal is told. */
import { readFileSync } from 'node:fs';
import type { HTTPMethods, RouteOptions } from 'fastify';
import t, { type Test } from 'tap';
import { Authenticator } from '../../src/auth/authenticator.ts';
import { ROLES } from '../../src/auth/identity.ts';
import { FixedKeys, secretKey, type TokenKeys } from '../../src/auth/token-keys.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';
import { claims, SECRET, secretToken } from '../helpers/tokens.ts';

const RULES = { issuer: undefined, audience: undefined, rolesClaim: 'roles', clockSkewMs: 0 };
const UNKNOWN_PATHS = ['/api', '/api/v1/orders', '/api/v1/products/', '/metrics/x', '/%2e%2e/x'];
const ROW = /^\| `([A-Z]+ \S+)` \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$/gm;

/** `undefined`: no token at all. */
type Sender = 'nobody' | 'no role' | (typeof ROLES)[number];

function securedApp(t: Test, keys: TokenKeys = new FixedKeys([secretKey(SECRET)])) {
  const made = fakeApp({ identities: new Authenticator(keys, RULES) });
  t.teardown(() => made.app.close());
  const routes: RouteOptions[] = [];
  made.app.addHook('onRoute', (route) => {
    routes.push({ ...route });
  });
  return { ...made, routes };
}

async function headersOf(sender: Sender): Promise<Record<string, string>> {
  if (sender === 'nobody') return {};
  const roles = sender === 'no role' ? ['owner'] : [sender];
  return { authorization: `Bearer ${await secretToken(claims({ roles }))}` };
}

/** The page's rows: what nobody, a reader, a writer and an admin get of each route. */
function documented(): Map<string, readonly string[]> {
  const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
  return new Map(
    [...page.matchAll(ROW)].map(([, name, ...cells]) => [name, cells.map((cell) => cell.trim())]),
  );
}

t.test('each route lets in whom docs/security.md says, and the page has each route', async (t) => {
  const { app, routes } = securedApp(t);
  await app.ready();
  const table = documented();
  const seen = new Set<string>();
  for (const { method, url, schema, config } of routes) {
    const name = `${method} ${url.replace(/:(\w+)/g, '{$1}')}`;
    if (schema?.hide === true) {
      t.equal(config?.policy?.access, 'anyone', name);
      continue;
    }
    const row = table.get(name.replace('HEAD ', 'GET '));
    t.ok(row, `the page has ${name}`);
    seen.add(name);
    const path = url.replace(/:\w+/g, '1');
    for (const [column, sender] of (['nobody', ...ROLES] as const).entries()) {
      const answer = await app.inject({
        // A stream has no end.
        method: url === '/status/stream' ? 'HEAD' : (method as HTTPMethods & 'GET'),
        url: path,
        headers: await headersOf(sender),
      });
      const isIn = answer.statusCode !== 401 && answer.statusCode !== 403;
      t.equal(isIn ? 'yes' : String(answer.statusCode), row?.[column], `${name} by ${sender}`);
    }
  }
  for (const name of table.keys()) t.ok(seen.has(name), `${name} is a route`);
});

t.test('a token without any of the roles may nothing that needs one', async (t) => {
  const { app } = securedApp(t);
  const headers = await headersOf('no role');
  const answer = await app.inject({ url: '/api/v1/products/a', headers });
  t.equal(answer.statusCode, 403);
  t.equal(answer.json().detail, 'This takes the role reader; the token has none.');
});

t.test('who has no valid token learns of no path and no method', async (t) => {
  const { app } = securedApp(t);
  for (const url of UNKNOWN_PATHS) {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS'] as const) {
      const asked = { method, url, payload: method === 'POST' ? '{"a":1}' : '' };
      t.equal((await app.inject(asked)).statusCode, 401, `${method} ${url}`);
      const headers = await headersOf('reader');
      t.equal((await app.inject({ ...asked, headers })).statusCode, 404, `${method} ${url}, known`);
    }
  }
  const put = { method: 'PUT', url: '/api/v1/products/a' } as const;
  t.equal((await app.inject(put)).statusCode, 401);
  const known = await app.inject({ ...put, headers: await headersOf('reader') });
  t.equal(known.statusCode, 405);
});

t.test('refusals are problems with a challenge, and say what is wrong', async (t) => {
  const { app } = securedApp(t);
  const realm = 'Bearer realm="product-service"';
  const ask = (authorization?: string) =>
    app.inject({
      method: 'POST',
      url: '/api/v1/events',
      headers: authorization === undefined ? {} : { authorization },
    });
  const missing = await ask();
  t.equal(missing.statusCode, 401);
  t.equal(missing.headers['www-authenticate'], realm);
  t.match(missing.json(), { code: 'token-missing', status: 401 });

  const expired = await ask(`Bearer ${await secretToken(claims({ exp: 1 }))}`);
  t.equal(expired.statusCode, 401);
  t.match(expired.json(), { code: 'token-invalid', detail: 'It has expired.' });
  t.equal(
    expired.headers['www-authenticate'],
    `${realm}, error="invalid_token", error_description="It has expired."`,
  );

  const reader = await ask((await headersOf('reader')).authorization);
  t.equal(reader.statusCode, 403);
  t.match(reader.json(), {
    code: 'forbidden',
    detail: 'This takes the role writer; the token has reader.',
  });
  t.equal(
    reader.headers['www-authenticate'],
    `${realm}, error="insufficient_scope", scope="writer"`,
  );
});

t.test('keys that can not be had are no fault of the token', async (t) => {
  const { app } = securedApp(t, {
    open: () => undefined,
    candidates: async () => ({ retryAfterSeconds: 7 }),
    close: () => undefined,
  });
  const answer = await app.inject({
    url: '/api/v1/products/a',
    headers: await headersOf('reader'),
  });
  t.equal(answer.statusCode, 503);
  t.equal(answer.json().code, 'issuer-unreachable');
  t.equal(answer.headers['retry-after'], '7');
  t.equal(answer.headers['www-authenticate'], undefined);
});

t.test('it is refused before the body is read, whatever else is wrong', async (t) => {
  const { app, lifecycle, intake } = securedApp(t);
  lifecycle.phase = 'starting';
  const answer = await app.inject({
    method: 'POST',
    url: '/api/v1/events?ack=never',
    headers: { 'content-type': 'text/plain', 'idempotency-key': 'a b' },
    payload: '{',
  });
  t.equal(answer.json().code, 'token-missing');
  t.equal(intake.offers.length, 0);
});

t.test('a request is the same behind its first token as behind one that is known', async (t) => {
  const { app, products, intake } = securedApp(t);
  products.put('a', 7, 1.5, 2);
  const headers = await headersOf('writer');
  for (const time of ['first', 'again']) {
    const post = await app.inject({
      method: 'POST',
      url: '/api/v1/events',
      headers: { ...headers, 'content-type': 'application/json' },
      payload: '{"product_id":"a","price":1.5,"stock":2}',
    });
    t.equal(post.statusCode, 202, time);
    const get = await app.inject({ url: '/api/v1/products/a', headers });
    t.strictSame(get.json(), { id: 'a', price: 1.5, stock: 2 }, time);
    const fresh = await headersOf('reader');
    t.equal((await app.inject({ url: '/api/v1/products/none', headers: fresh })).statusCode, 404);
    t.equal((await app.inject({ url: '/api/v1/changes', headers: fresh })).statusCode, 503);
  }
  t.equal(intake.offers.length, 2);
});

t.test('without authentication, tokens are not looked at', async (t) => {
  const { app, products } = fakeApp();
  t.teardown(() => app.close());
  products.put('a', 7, 1.5, 2);
  for (const authorization of ['Bearer nonsense', 'Basic eDp5']) {
    const answer = await app.inject({ url: '/api/v1/products/a', headers: { authorization } });
    t.equal(answer.statusCode, 200);
  }
});
