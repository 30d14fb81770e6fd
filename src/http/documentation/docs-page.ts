/**
 * `GET /docs`: the API's document as a page to read and to try requests on. Everything on it comes
 * from this service, which the content security policy enforces: it works offline. Main thread.
 */
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import type { ErrorHandler } from '../answers/error-handler.ts';
import { sendProblem } from '../answers/respond.ts';

const CONTENT_SECURITY_POLICY = {
  'default-src': ["'none'"],
  'connect-src': ["'self'"],
  'script-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"], // the page's own script sets styles
  'img-src': ["'self'", 'data:'],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
};

/** Registers the page; `describeApi` comes before. `handleError` is the app's own handler. */
export function docsPage(app: FastifyInstance, handleError: ErrorHandler): void {
  app.register(async (scope) => page(scope, handleError));
}

function page(scope: FastifyInstance, handleError: ErrorHandler): void {
  scope.setErrorHandler((error, request, reply) => {
    // The file server refuses with 4xx what no file can answer: a range, a condition.
    if (isRefusal(error)) sendProblem(reply, 'bad-request');
    else handleError(error, request, reply);
  });
  scope.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    theme: { title: 'Product service' },
    uiConfig: {
      // Its default asks a service on the net whether the document is valid.
      validatorUrl: 'none',
      docExpansion: 'list',
      displayRequestDuration: true,
    },
  });
}

function isRefusal(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return false;
  const { statusCode } = error;
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
}
