/** The API's own description: complete as to routes, and itself served as any other answer is. */
import t from 'tap';
import { fakeApp } from '../helpers/http-fakes.ts';

interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly responses?: Readonly<Record<string, unknown>>;
}

/** All that a client can call; probes included, generated refusals of other methods not. */
const OPERATIONS = [
  'delete /api/v1/products/{id}',
  'get /api/v1/changes',
  'get /api/v1/events/{seq}',
  'get /api/v1/products',
  'get /api/v1/products/{id}',
  'get /health',
  'get /livez',
  'get /readyz',
  'patch /api/v1/products/{id}',
  'post /api/v1/events',
  'post /api/v1/events/batch',
];

t.test('every route is described, and nothing else', async (t) => {
  const { app } = fakeApp();
  t.teardown(() => app.close());
  const response = await app.inject('/openapi.json');
  t.equal(response.statusCode, 200);
  t.match(response.headers['content-type'], 'application/json');
  const document = response.json();
  t.equal(document.openapi, '3.1.0');
  const references = response.body.matchAll(/"\$ref":"#\/components\/schemas\/([^"]*)"/g);
  const named = new Set([...references].map(([, schema]) => schema));
  t.same([...named], ['Problem'], 'every error is the one problem');
  t.ok('Problem' in document.components.schemas);
  const operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        name: `${method} ${path}`,
        operation,
      })),
  );
  t.same(operations.map(({ name }) => name).sort(), OPERATIONS);
  for (const { name, operation } of operations) {
    t.type(operation.summary, 'string', `${name} has a summary`);
    t.equal(operation.tags?.length, 1, `${name} has a tag`);
    const responses = Object.keys(operation.responses ?? {});
    t.ok(responses.length > 0, `${name} has an answer`);
    if (name.includes('/api/')) t.ok(responses.includes('503'), `${name} says how it is refused`);
  }
});
