/** Who may administer, on which listener: a route of the role admin, asked from here, from there, through proxies. */
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import { Authenticator } from '../../src/auth/authenticator.ts';
import { FixedKeys, secretKey } from '../../src/auth/token-keys.ts';
import { AccessGuard } from '../../src/http/guards/access-guard.ts';
import { enforcePolicies, OPEN_POLICY } from '../../src/http/guards/route-policy.ts';
import { FakeLifecycle } from '../helpers/fakes/http-fakes.ts';
import { claims, SECRET, secretToken } from '../helpers/tokens.ts';

const RULES = { issuer: undefined, audience: undefined, rolesClaim: 'roles', clockSkewMs: 0 };

function adminApp(t: Test, access: AccessGuard) {
  const app = Fastify();
  t.teardown(() => app.close());
  enforcePolicies(app, new FakeLifecycle(), access);
  app.get('/admin', { config: { policy: { ...OPEN_POLICY, access: 'admin' } } }, async () => 'in');
  const statusOf = async (headers: Record<string, string>, remoteAddress = '127.0.0.1') =>
    (await app.inject({ url: '/admin', headers, remoteAddress })).statusCode;
  return { app, statusOf };
}

t.test('without authentication it is for processes of this machine', async (t) => {
  const { app, statusOf } = adminApp(t, new AccessGuard(undefined, 'this-machine'));
  for (const address of ['127.0.0.1', '127.0.0.7', '::1', '::ffff:127.0.0.1']) {
    t.equal(await statusOf({ host: 'localhost:8080' }, address), 200, address);
  }
  for (const address of ['192.168.1.7', '10.0.0.1', '2001:db8::1', '::ffff:10.0.0.1']) {
    t.equal(await statusOf({ host: 'localhost:8080' }, address), 403, address);
  }
  const refused = await app.inject({ url: '/admin', remoteAddress: '10.0.0.1' });
  t.match(refused.json(), {
    code: 'forbidden',
    detail: /^Without authentication, administration is/,
  });
});

t.test('a request that was forwarded, or is for another name, is none of them', async (t) => {
  const { statusOf } = adminApp(t, new AccessGuard(undefined, 'this-machine'));
  const forwarded = {
    forwarded: 'for=192.0.2.7',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'shop.example',
    'x-real-ip': '127.0.0.1',
    via: '1.1 proxy',
  };
  for (const [name, value] of Object.entries(forwarded)) {
    t.equal(await statusOf({ host: 'localhost', [name]: value }), 403, name);
  }
  for (const host of ['localhost', 'LOCALHOST:80', '127.0.0.1:8080', '[::1]:8080', '[::1]']) {
    t.equal(await statusOf({ host }), 200, host);
  }
  for (const host of [
    'evil.example',
    'localhost.evil.example:8080',
    '127.0.0.1.evil.example',
    '[::2]',
  ]) {
    t.equal(await statusOf({ host }), 403, `Host: ${host}`);
  }
});

t.test('with authentication it takes the role, from everywhere, on either listener', async (t) => {
  for (const adminFrom of ['this-machine', 'anywhere'] as const) {
    const auth = new Authenticator(new FixedKeys([secretKey(SECRET)]), RULES);
    const { statusOf } = adminApp(t, new AccessGuard(auth, adminFrom));
    t.equal(await statusOf({}), 401);
    for (const [role, status] of [
      ['reader', 403],
      ['writer', 403],
      ['admin', 200],
    ] as const) {
      const authorization = `Bearer ${await secretToken(claims({ roles: [role] }))}`;
      t.equal(await statusOf({ authorization }, '10.0.0.1'), status, role);
    }
  }
});

t.test('without it, whoever reaches the listener for nothing else may', async (t) => {
  const { statusOf } = adminApp(t, new AccessGuard(undefined, 'anywhere'));
  t.equal(await statusOf({ host: 'admin.internal', via: '1.1 proxy' }, '10.0.0.1'), 200);
});
