/**
 * `GET /openapi.json`: the API as an OpenAPI 3.1 document, made from the routes' own schemas.
 * Main thread. Made and written out once, for the first request.
 */
import { readFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { batchEventSchema } from '../../event/batch-event.ts';
import { sendLongJson } from '../answers/long-answer.ts';
import { REQUEST_ID_HEADER } from '../connection/request-ids.ts';
import type { RoutePolicy } from '../guards/route-policy.ts';
import { batchResultSchema } from '../schemas/batch.ts';
import { changeSchema } from '../schemas/changes.ts';
import { HISTORY_SCHEMAS } from '../schemas/history.ts';
import { problemSchema } from '../schemas/problem.ts';
import { productSchema } from '../schemas/product.ts';

/** What has a name of its own in the document. */
const SHARED_SCHEMAS = [
  productSchema,
  ...HISTORY_SCHEMAS,
  batchResultSchema,
  changeSchema,
  problemSchema,
];

const TAGS = [
  { name: 'Events', description: 'Sending updates, one by one or many at once.' },
  { name: 'Products', description: 'The current state, and changes of one product.' },
  { name: 'History', description: 'What products were, by event time.' },
  { name: 'Changes', description: 'Following what changes.' },
  { name: 'Administration', description: 'For operators: the role admin, or this machine.' },
  { name: 'Probes', description: 'For orchestrators.' },
] as const;

const REQUEST_ID_REF = { $ref: '#/components/headers/RequestId' };
const REQUEST_ID = {
  description:
    'The id of the request: the one that it came with in this header, if that is 1 to 128 letters, ' +
    'digits or any of `.~_:@/+=-`, else one made here. Problems have it in `instance`, and the log has it.',
  schema: { type: 'string', pattern: '^[A-Za-z0-9_.~:@/+=-]{1,128}$' },
};
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
    transformObject: (document) => withRequestIds(document as { openapiObject: Document }),
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `def-${index}`),
    },
  });
}

interface Document {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: object;
}
interface Operation {
  readonly responses: Readonly<Record<string, { headers?: object }>>;
}

/** Says in one place what every answer carries. */
function withRequestIds({ openapiObject }: { openapiObject: Document }) {
  const { components, paths = {} } = openapiObject;
  for (const methods of Object.values(paths)) {
    for (const { responses } of Object.values(methods)) {
      for (const response of Object.values(responses)) {
        response.headers = { ...response.headers, [REQUEST_ID_HEADER]: REQUEST_ID_REF };
      }
    }
  }
  return { ...openapiObject, components: { ...components, headers: { RequestId: REQUEST_ID } } };
}

export function openapiRoute(app: FastifyInstance): void {
  let text: string | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
    text ??= JSON.stringify(app.swagger());
    sendLongJson(reply, text, 'nothing else');
  });
}
