/** The documentation is made for the first who asks, once, and again if that failed. */
import Fastify from 'fastify';
import t from 'tap';
import { docsRoutes } from '../../src/http/documentation/docs-routes.ts';

const DEPS = { stockMin: 0, requestIds: () => '1', handleError: () => undefined };

t.test('made once, for all who ask at once', async (t) => {
  let made = 0;
  const app = Fastify();
  t.teardown(() => app.close());
  docsRoutes(app, DEPS, async () => {
    made++;
    const docs = Fastify();
    docs.get('/docs', () => 'a page');
    await docs.ready();
    return docs;
  });
  await app.ready();
  t.equal(made, 0, 'not before');
  const answers = await Promise.all([1, 2, 3].map(() => app.inject('/docs')));
  t.same(
    answers.map(({ body }) => body),
    ['a page', 'a page', 'a page'],
  );
  t.equal(made, 1);
});

t.test('a failure is no more than that of who asked', async (t) => {
  const failures = [new Error('EMFILE'), new Error('EMFILE')];
  const app = Fastify();
  t.teardown(() => app.close());
  docsRoutes(app, DEPS, async () => {
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    const docs = Fastify();
    docs.get('/docs', () => 'a page');
    await docs.ready();
    return docs;
  });
  for (const status of [500, 500, 200, 200]) {
    t.equal((await app.inject('/docs')).statusCode, status);
  }
});
