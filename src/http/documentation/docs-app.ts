/**
 * The app behind docs-routes.ts: the routes of the API once more, described and never called, with
 * what makes a document of them and a page of that. Main thread; it listens nowhere.
 */

import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify';
import { compilersFactory } from '../../event/ajv.ts';
import type { ErrorHandler } from '../answers/error-handler.ts';
import { sendProblem } from '../answers/respond.ts';
import { REQUEST_ID_HEADER, type RequestIds } from '../connection/request-ids.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { compressFile } from './compressed-files.ts';
import { docsPage } from './docs-page.ts';
import { describeApi, openapiRoute, securityOf } from './openapi.ts';

export interface DocsAppDeps {
  /** All routes of the API, in the order of the document. */
  readonly routes: readonly RouteOptions[];
  readonly requestIds: RequestIds;
  readonly handleError: ErrorHandler;
  /** The least stock that an event may set. */
  readonly stockMin: number;
}

/** Builds it and waits until it is ready; hand requests to its `routing`. */
export async function buildDocsApp(deps: DocsAppDeps): Promise<FastifyInstance> {
  const { routes, requestIds, handleError, stockMin } = deps;
  const app = Fastify({ genReqId: requestIds, schemaController: { compilersFactory } });
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, 'route-not-found'));
  app.addHook('onRequest', (request, reply, done) => {
    reply.header(REQUEST_ID_HEADER, String(request.id));
    done();
  });
  app.addHook('onSend', compressFile);
  await describeApi(app, stockMin);
  for (const { method, url, schema, config } of routes) {
    if (schema === undefined || schema.hide === true || method === 'HEAD') continue;
    const described = { ...schema, ...securityOf(config?.policy) };
    app.route({ method, url, schema: described, ...describedOnly, handler: neverCalled });
  }
  openapiRoute(app);
  docsPage(app, handleError);
  await app.ready();
  return app;
}

function neverCalled(): never {
  throw new Error('only requests for the documentation are handed on');
}
