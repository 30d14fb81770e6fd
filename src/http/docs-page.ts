/**
 * `GET /docs`: the API's document as a page to read and to try requests on. Everything on it comes
 * from this service, which the content security policy enforces: it works offline. Main thread.
 */
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

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

/** Registers the page; `describeRoutes` comes before. */
export function docsPage(app: FastifyInstance): void {
  app.register(swaggerUi, {
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
