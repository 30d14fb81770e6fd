/**
 * `GET /openapi.json` and `GET /docs`, as far as a start has to know of them: notes which routes
 * there are, and hands requests on to an app of their own (docs-app.ts). That is loaded and built
 * for the first of them: few ask, and what makes the document took a fifth of a start. Main thread.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { REQUEST_ID_HEADER } from '../connection/request-ids.ts';
import { OPEN_POLICY } from '../guards/route-policy.ts';
import type { DocsAppDeps } from './docs-app.ts';

const DOCUMENT_URL = '/openapi.json';
/** No operations of the API. */
const HIDDEN = { schema: { hide: true }, config: { policy: OPEN_POLICY } } as const;

type BuildDocsApp = (deps: DocsAppDeps) => Promise<FastifyInstance>;

const loadAndBuild: BuildDocsApp = async (deps) => {
  const { buildDocsApp } = await import('./docs-app.ts');
  return buildDocsApp(deps);
};

/** Adds them; call before all other routes. `build` is for tests. */
export function docsRoutes(
  app: FastifyInstance,
  deps: Omit<DocsAppDeps, 'routes'>,
  build = loadAndBuild,
): void {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    routes.push(route);
  });

  let made: Promise<FastifyInstance> | undefined;
  const make = () =>
    build({ ...deps, routes }).catch((error) => {
      // The next one tries again: it may have been no more than descriptors that were short.
      made = undefined;
      throw error;
    });
  app.addHook('onClose', async () => {
    await made?.then(
      (docs) => docs.close(),
      () => undefined, // whoever asked has the answer
    );
  });

  const handOn = async ({ raw, id }: FastifyRequest, reply: FastifyReply) => {
    made ??= make();
    const docs = await made;
    reply.hijack();
    raw.headers[REQUEST_ID_HEADER] = String(id); // the same in both apps
    docs.routing(raw, reply.raw);
  };
  for (const url of [DOCUMENT_URL, '/docs', '/docs/*']) app.get(url, HIDDEN, handOn);
  app.get('/docs/json', HIDDEN, (request, reply) => {
    request.raw.url = DOCUMENT_URL; // the page's own route writes it out for each request
    return handOn(request, reply);
  });
}
