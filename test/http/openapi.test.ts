/** The API's own description: complete as to routes, current, clean, and a page to read it on. */

import { type Buffer, isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import spectralCore, { type RulesetDefinition } from '@stoplight/spectral-core';
import spectralRulesets from '@stoplight/spectral-rulesets';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t, { type Test } from 'tap';
import { PROBLEMS } from '../../src/errors/problems.ts';
import { ajvOptions } from '../../src/event/ajv.ts';
import { SourceScan } from '../../src/event/source-faults.ts';
import { ANY_PROBLEMS } from '../../src/http/schemas/problem.ts';
import { CORPUS } from '../bulk/json-corpus.ts';
import { apiDocument, clientTypes } from '../helpers/api/api-document.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly requestBody?: Answer;
  readonly responses: Readonly<Record<string, Answer>>;
}
interface Answer {
  readonly description?: string;
  readonly content?: Readonly<Record<string, { example?: unknown; examples?: unknown }>>;
}

/** All that a client can call, probes included; generated refusals of other methods not. */
const OPERATIONS = [
  'delete /api/v1/dead-letters/{id}',
  'delete /api/v1/products/{id}',
  'get /api/v1/changes',
  'get /api/v1/dead-letters',
  'get /api/v1/events/{seq}',
  'get /api/v1/products',
  'get /api/v1/products/{id}',
  'get /api/v1/products/{id}/history',
  'get /api/v1/products/{id}/prior-price',
  'get /debug/pprof/heap',
  'get /debug/pprof/profile',
  'get /health',
  'get /livez',
  'get /metrics',
  'get /readyz',
  'get /status/configuration',
  'get /status/stream',
  'patch /api/v1/products/{id}',
  'post /api/v1/dead-letters/{id}/redrive',
  'post /api/v1/events',
  'post /api/v1/events/batch',
];

const REMEDY = 'run `npm run docs:api` and look at what changed';

function appOf(t: Test) {
  const { app } = fakeApp();
  t.teardown(() => app.close());
  return app;
}

/** `undefined` for what is no JSON in UTF-8. */
function parsed(line: Buffer): unknown {
  try {
    return isUtf8(line) ? JSON.parse(line.toString()) : undefined;
  } catch {
    return undefined;
  }
}

function isAhead(event: unknown): boolean {
  const at = (event as { occurred_at?: string | number } | null)?.occurred_at;
  return Number(typeof at === 'string' ? new Date(at) : at) > Date.now();
}

function committed(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

t.test('every route is described, and nothing else', async (t) => {
  const response = await appOf(t).inject('/openapi.json');
  t.equal(response.statusCode, 200);
  t.match(response.headers['content-type'], 'application/json');
  const document = response.json();
  t.equal(document.openapi, '3.1.0');
  const operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        name: `${method} ${path}`,
        operation,
      })),
  );
  t.same(operations.map(({ name }) => name).sort(), OPERATIONS);
  for (const { name, operation } of operations) {
    t.type(operation.operationId, 'string', `${name} has a name for clients`);
    t.type(operation.summary, 'string', `${name} has a summary`);
    t.equal(operation.tags?.length, 1, `${name} has a tag`);
    const responses = Object.keys(operation.responses);
    for (const code of ANY_PROBLEMS) {
      const { status } = PROBLEMS[code];
      t.ok(responses.includes(String(status)), `${name} may be refused with ${code}`);
    }
    if (name.includes('/api/')) t.ok(responses.includes('503'), `${name} says how it is refused`);
    const answers = Object.entries(operation.responses);
    if (operation.requestBody !== undefined) answers.push(['body', operation.requestBody]);
    for (const [status, { content = {} }] of answers) {
      for (const [type, media] of Object.entries(content)) {
        const isShown = media.example !== undefined || media.examples !== undefined;
        t.ok(isShown, `${name} shows an example of ${status} as ${type}`);
      }
    }
  }
  const ids = operations.map(({ operation }) => operation.operationId);
  t.equal(new Set(ids).size, ids.length, 'names are unique');
});

t.test('who asks first, and all at once, gets the same as later', async (t) => {
  const app = appOf(t);
  const ask = (url: string) =>
    app.inject(url).then(({ statusCode, body }) => ({ statusCode, body }));
  const urls = ['/openapi.json', '/docs/json', '/openapi.json', '/docs/'];
  const first = await Promise.all(urls.map(ask));
  t.strictSame(first, await Promise.all(urls.map(ask)));
  t.strictSame(first[0], first[1]);
  for (const url of urls) {
    const head = await app.inject({ method: 'HEAD', url });
    t.equal(head.statusCode, 200, `HEAD ${url}`);
    t.equal(head.body, '');
  }
});

t.test('what is committed is current', async (t) => {
  const document = await apiDocument();
  t.ok(document === committed('docs/openapi.json'), `docs/openapi.json: ${REMEDY}`);
  const types = await clientTypes(document);
  t.ok(types === committed('test/client/api.d.ts'), `test/client/api.d.ts: ${REMEDY}`);
});

t.test('spectral finds nothing to complain of, and would', async (t) => {
  const spectral = new spectralCore.Spectral();
  spectral.setRuleset({ extends: [spectralRulesets.oas as RulesetDefinition] });
  const document = JSON.parse(committed('docs/openapi.json'));
  t.same(await spectral.run(document), []);
  const operation = document.paths['/health'].get;
  delete operation.operationId;
  operation.responses['200'].content['application/json'].example = { status: 7 };
  const codes = (await spectral.run(document)).map(({ code }) => code);
  t.same(codes.sort(), ['oas3-valid-media-example', 'operation-operationId']);
});

t.test('the documentation page needs nothing from elsewhere', async (t) => {
  const app = appOf(t);
  for (const path of ['/docs', '/docs/']) {
    const page = await app.inject(path);
    t.equal(page.statusCode, 200, path);
    const links = [...page.body.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link]) => link);
    t.ok(links.length >= 4, `${path} loads scripts and styles`);
    t.notMatch(page.body, /<script(?![^>]*\ssrc=)|\son\w+=/, `${path} has no script inside`);
    const policy = String(page.headers['content-security-policy']);
    t.match(policy, /default-src 'none'/, `${path} has the policy`);
    t.match(policy, /script-src 'self'(;|$)/, `${path} runs the service's own scripts only`);
    for (const link of links) {
      const url = new URL(link, `http://service${path}`);
      t.equal(url.host, 'service', `${link} is on this service`);
      const answer = await app.inject(url.pathname);
      t.equal(answer.statusCode, 200, `${url.pathname} is there`);
    }
  }
  const initializer = await app.inject('/docs/static/swagger-initializer.js');
  t.match(initializer.body, /"validatorUrl":\s*"none"/, 'the document is sent nowhere');
  const policy = String(initializer.headers['content-security-policy']);
  t.match(policy, /default-src 'none'/);
  t.notMatch(policy, /https?:|\*|upgrade-insecure-requests/, 'the policy names no other place');
  const document = await app.inject('/docs/json');
  t.same(
    document.json(),
    (await app.inject('/openapi.json')).json(),
    'the page shows the document',
  );
  t.equal((await app.inject({ method: 'POST', url: '/docs' })).statusCode, 405);
  t.equal((await app.inject('/docs/static/none.js')).statusCode, 404);
});

t.test('what a client asks wrongly of the page is its own fault', async (t) => {
  const app = appOf(t);
  const asked: [url: string, headers: Record<string, string>][] = [
    ['/docs/static//x', {}],
    ['/docs/static/index.css', { range: 'bytes=99999999-' }],
    ['/docs/static/index.css', { 'if-match': '"x"' }],
    ['/docs/static/%2e%2e/%2e%2e/package.json', {}],
    ['/docs/static/%00', {}],
  ];
  for (const [url, headers] of asked) {
    const answer = await app.inject({ url, headers });
    t.match(String(answer.statusCode), /^40[04]$/, url);
    t.equal(answer.headers['content-type'], 'application/problem+json', url);
  }
  t.equal((await app.inject('/docs/static/index.css')).statusCode, 200, 'rightly, it is there');
});

/** Whether JSON.parse dropped something of `line`. */
function isDropped(line: Buffer, value: unknown): boolean {
  const scan = new SourceScan();
  scan.read(line, 0, line.length);
  return scan.faults(value, line.toString()) !== undefined;
}

t.test('the document takes and refuses the events that the service does', async (t) => {
  const document = JSON.parse(committed('docs/openapi.json'));
  const ajv = new Ajv2020({ strict: false, strictNumbers: true });
  for (const [name, check] of Object.entries(ajvOptions.customOptions.formats)) {
    ajv.addFormat(name, check as (text: string) => boolean);
  }
  ajv.addSchema(document, 'openapi.json');
  const takes = (pointer: string, value: unknown) =>
    ajv.validate({ $ref: `openapi.json#${pointer}` }, value);
  let compared = 0;
  for (const { name, verdict, line } of CORPUS) {
    const value = parsed(line);
    // No schema speaks of these.
    if (value === undefined || isAhead(value) || isDropped(line, value)) continue;
    compared++;
    const isTaken = takes('/components/schemas/BatchEvent', value);
    t.equal(isTaken ? 'y' : 'n', verdict, `of a batch: ${name}`);
  }
  t.ok(compared > 250, `${compared} cases`);

  const app = appOf(t);
  const patch =
    '/paths/~1api~1v1~1products~1{id}/patch/requestBody/content/application~1json/schema';
  for (const body of [
    {},
    { price: 1 },
    { stock: 1 },
    { price: 1, stock: 1 },
    { price: 1, stock: -1 },
    { price: null },
    { occurred_at: 0 },
    { price: 1, occurred_at: '2026-01-01T00:00:00Z', event_id: 'e' },
    { price: 1, event_id: '' },
    { stock: 1, product_id: 'a' },
    [],
    'text',
  ]) {
    const method = 'PATCH';
    const payload = JSON.stringify(body);
    const headers = { 'content-type': 'application/json' };
    const answer = await app.inject({ method, url: '/api/v1/products/a', headers, payload });
    t.equal(takes(patch, body), answer.statusCode < 300, `as a patch: ${payload}`);
  }
});
