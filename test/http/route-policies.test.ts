/** What each route declares of itself: when it serves, which body and which conditions it takes. */
import Fastify, { type RouteOptions } from 'fastify';
import t from 'tap';
import { AccessGuard } from '../../src/http/guards/access-guard.ts';
import { enforcePolicies, type RoutePolicy } from '../../src/http/guards/route-policy.ts';
import { FakeLifecycle, fakeApp } from '../helpers/fakes/http-fakes.ts';

/** serves · body · conditions · Idempotency-Key · access · rate */
const DECLARED: Readonly<Record<string, string>> = {
  'POST /api/v1/events': 'writes · application/json, plain · own · own · writer · write',
  'POST /api/v1/events/batch':
    'writes · application/x-ndjson or application/ndjson or application/json, known · refused · before-body · writer · bulk',
  'PATCH /api/v1/products/:id':
    'writes · application/merge-patch+json or application/json, plain · own · own · writer · write',
  'DELETE /api/v1/products/:id': 'writes · refused · own · own · writer · write',
  'GET /api/v1/events/:seq': 'reads · ignored · untagged · ignored · reader · read',
  'GET /api/v1/products/:id': 'reads · ignored · own · ignored · reader · read',
  'GET /api/v1/products/:id/history': 'reads · ignored · untagged · ignored · reader · read',
  'GET /api/v1/products/:id/prior-price': 'reads · ignored · untagged · ignored · reader · read',
  'GET /api/v1/products': 'reads · ignored · untagged · ignored · reader · read',
  'GET /api/v1/changes': 'by-form · ignored · own · ignored · reader · read',
  'GET /debug/pprof/profile': 'always · ignored · ignored · ignored · admin · none',
  'GET /debug/pprof/heap': 'always · ignored · ignored · ignored · admin · none',
  'GET /api/v1/dead-letters': 'reads · ignored · untagged · ignored · admin · read',
  'POST /api/v1/dead-letters/:id/redrive': 'writes · refused · refused · ignored · admin · write',
  'DELETE /api/v1/dead-letters/:id': 'writes · refused · refused · ignored · admin · write',
  'GET /health': 'always · ignored · ignored · ignored · anyone · none',
  'GET /livez': 'always · ignored · ignored · ignored · anyone · none',
  'GET /readyz': 'always · ignored · ignored · ignored · anyone · none',
  'GET /metrics': 'always · ignored · ignored · ignored · admin · none',
  'GET /status/stream': 'always · ignored · ignored · ignored · admin · none',
  'GET /status/configuration': 'always · ignored · ignored · ignored · admin · none',
};

function bodyText(body: RoutePolicy['body']): string {
  if (body === 'ignored') return body;
  return 'refusal' in body ? 'refused' : `${body.types.join(' or ')}, ${body.codings}`;
}

function textOf(policy: RoutePolicy): string {
  const { serves, body, conditions, idempotencyKey, access, rate } = policy;
  return [serves, bodyText(body), conditions, idempotencyKey, access, rate].join(' · ');
}

t.test('each route has the policy of this table, a HEAD that of its GET', async (t) => {
  const { app } = fakeApp();
  t.teardown(() => app.close());
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    routes.push({ ...route });
  });
  await app.ready();
  const declared: Record<string, string> = {};
  for (const { method, url, schema, config } of routes) {
    t.ok(config?.policy, `${method} ${url}`);
    if (config?.policy === undefined) continue;
    const text = textOf(config.policy);
    if (schema?.hide === true)
      t.match(text, /^always · ignored · ignored · ignored · anyone · (read|none)$/, url);
    else if (method === 'HEAD') t.equal(text, declared[`GET ${url}`], `HEAD ${url}`);
    else declared[`${method} ${url}`] = text;
  }
  t.strictSame(declared, DECLARED);
});

t.test('a route without a policy, or with a guard beside it, is refused when it is added', (t) => {
  const app = Fastify();
  enforcePolicies(app, new FakeLifecycle(), new AccessGuard(undefined, 'this-machine'));
  const handler = () => 'never';
  t.throws(() => app.route({ method: 'GET', url: '/bare', handler }), {
    message: 'GET /bare declares no policy',
  });
  const policy: RoutePolicy = {
    serves: 'reads',
    body: 'ignored',
    conditions: 'ignored',
    idempotencyKey: 'ignored',
    access: 'reader',
    rate: 'read',
  };
  const onRequest = () => undefined;
  const twice = { method: 'GET', url: '/twice', config: { policy }, onRequest, handler } as const;
  t.throws(() => app.route(twice), { message: 'GET /twice has a guard of its own' });
  t.end();
});

t.test('a policy is enforced before the body is read, its parts in their order', async (t) => {
  const { app, lifecycle } = fakeApp();
  t.teardown(() => app.close());
  const headers: Record<string, string> = {
    'content-type': 'application/x-ndjson; charset=latin1',
    'if-match': '"1"',
    'idempotency-key': ' ',
  };
  const codes: string[] = [];
  const post = async () => {
    const url = '/api/v1/events/batch';
    const answer = await app.inject({ method: 'POST', url, headers, payload: '{' });
    codes.push(`${answer.json().code} ${answer.json().detail}`);
  };
  lifecycle.phase = 'stopping';
  await post();
  lifecycle.phase = 'ready';
  await post();
  headers['content-type'] = 'application/x-ndjson';
  await post();
  delete headers['if-match'];
  headers['idempotency-key'] = 'a b';
  await post();
  t.match(codes, [
    /^stopping /,
    /^unsupported-media-type The charset/,
    /^invalid-header If-Match /,
    /^invalid-header Idempotency-Key /,
  ]);
});
