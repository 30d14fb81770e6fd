/**
 * `GET /openapi.json`: the API as an OpenAPI 3.1 document, made from the routes' own schemas.
 * Main thread. Made at the first request for it, so that a start pays for none of it.
 */
import { readFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { sendJson } from './respond.ts';
import { problemSchema } from './schemas/problem.ts';

interface PackageFacts {
  readonly version: string;
  readonly description: string;
  readonly license: string;
}

/** Registers the collector of routes; those added after it is loaded are in the document. */
export function describeRoutes(app: FastifyInstance): void {
  const url = new URL('../../package.json', import.meta.url);
  const facts = JSON.parse(readFileSync(url, 'utf8')) as PackageFacts;
  app.addSchema(problemSchema);
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Product service',
        version: facts.version,
        description: facts.description,
        license: { name: facts.license, identifier: facts.license },
      },
      servers: [{ url: '/' }],
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `def-${index}`),
    },
  });
}

export function openapiRoute(app: FastifyInstance): void {
  let text: string | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
    text ??= JSON.stringify(app.swagger());
    sendJson(reply, 200, text);
  });
}
