/**
 * `GET /openapi.json`: the API as an OpenAPI 3.1 document, made from the routes' own schemas.
 * Main thread. Made and written out once, for the first request.
 */
import { readFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { batchEventSchema } from '../../event/batch-event.ts';
import { sendLongJson } from '../answers/long-answer.ts';
import type { RoutePolicy } from '../guards/route-policy.ts';
import { batchResultSchema } from '../schemas/batch.ts';
import { changeSchema } from '../schemas/changes.ts';
import { problemSchema } from '../schemas/problem.ts';
import { productSchema } from '../schemas/product.ts';

/** What has a name of its own in the document. */
const SHARED_SCHEMAS = [productSchema, batchResultSchema, changeSchema, problemSchema];

const TAGS = [
  { name: 'Events', description: 'Sending updates, one by one or many at once.' },
  { name: 'Products', description: 'The current state, and changes of one product.' },
  { name: 'Changes', description: 'Following what changes.' },
  { name: 'Probes', description: 'For orchestrators.' },
] as const;

const SCHEME = 'bearer';
const BEARER = {
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'JWT',
  description:
    'Where authentication is on (JWT_SECRET, JWT_PUBLIC_KEY or JWKS_URL): a token with the role that ' +
    '`x-role` of the operation names, or a higher one, of reader, writer and admin. Where it is off, none is looked at.',
} as const;

/** What an operation says of who may use it; `x-role` is the least role. */
export function securityOf(policy: RoutePolicy | undefined): Record<string, unknown> {
  if (policy === undefined || policy.access === 'anyone') return { security: [] };
  return { security: [{ [SCHEME]: [] }], 'x-role': policy.access };
}

interface PackageFacts {
  readonly version: string;
  readonly description: string;
  readonly license: string;
}

/** Collects the routes that are added to `app` once this resolves: they are in the document. */
export async function describeApi(app: FastifyInstance, stockMin: number): Promise<void> {
  const url = new URL('../../../package.json', import.meta.url);
  const facts = JSON.parse(readFileSync(url, 'utf8')) as PackageFacts;
  for (const schema of SHARED_SCHEMAS) app.addSchema(schema);
  app.addSchema(batchEventSchema(stockMin));
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Product service',
        version: facts.version,
        description: facts.description,
        contact: { name: 'The operator of this service' },
        license: { name: facts.license, identifier: facts.license },
      },
      servers: [{ url: '/' }],
      tags: [...TAGS],
      components: { securitySchemes: { [SCHEME]: BEARER } },
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
    sendLongJson(reply, text, 'nothing else');
  });
}
