/**
 * The status page of operators: `GET /` and the files it is made of, which say nothing of the data and are
 * open to everybody, and what it shows: `GET /status/stream` and `GET /status/configuration`, for
 * administrators. Main thread. Everything comes from this service, which the content security policy
 * enforces: no CDN, no inline script or style.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { isGone, sendJson, sendProblem } from '../answers/respond.ts';
import { OPEN_POLICY, type RoutePolicy } from '../guards/route-policy.ts';
import { ACCESS_PROBLEMS, ANY_PROBLEMS, problemResponses } from '../schemas/problem.ts';
import type { StatusStream } from './status-stream.ts';

export interface StatusDeps {
  readonly stream: StatusStream;
  /** The configuration by its variables, secrets masked. */
  readonly configuration: Readonly<Record<string, string>>;
}

const PAGE_POLICY: RoutePolicy = OPEN_POLICY;
const ADMIN_POLICY: RoutePolicy = { ...OPEN_POLICY, access: 'admin', rate: 'none' };
const FULL_RETRY_AFTER_SECONDS = 5;

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const ASSETS = new URL('./assets/', import.meta.url);
const UPLOT = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist');
const CSS = 'text/css; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';

/** Path, where the file is, and its type. */
const FILES: readonly (readonly [url: string, file: string | URL, type: string])[] = [
  ['/', new URL('index.html', ASSETS), 'text/html; charset=utf-8'],
  ['/status/status.css', new URL('status.css', ASSETS), CSS],
  ['/status/status.js', new URL('status.js', ASSETS), SCRIPT],
  ['/status/uPlot.min.css', join(UPLOT, 'uPlot.min.css'), CSS],
  ['/status/uPlot.iife.min.js', join(UPLOT, 'uPlot.iife.min.js'), SCRIPT],
];

export function statusRoutes(app: FastifyInstance, deps: StatusDeps): void {
  for (const [url, file, type] of FILES) fileRoute(app, url, file, type);
  streamRoute(app, deps.stream);
  configurationRoute(app, deps.configuration);
}

/** Read with its first request, and kept: few ask, and all of them are small. */
function fileRoute(app: FastifyInstance, url: string, file: string | URL, type: string): void {
  let kept: { readonly bytes: Buffer; readonly etag: string } | undefined;
  app.get(url, { schema: { hide: true }, config: { policy: PAGE_POLICY } }, (request, reply) => {
    if (kept === undefined) {
      const bytes = readFileSync(file);
      kept = { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url')}"` };
    }
    reply.header('etag', kept.etag).header('cache-control', 'no-cache').type(type);
    if (url === '/') reply.header('content-security-policy', CONTENT_SECURITY_POLICY);
    if (request.headers['if-none-match'] === kept.etag) return reply.code(304).send();
    return reply.send(kept.bytes);
  });
}

function streamRoute(app: FastifyInstance, stream: StatusStream): void {
  app.get(
    '/status/stream',
    {
      config: { policy: ADMIN_POLICY },
      schema: {
        operationId: 'getStatusStream',
        summary: 'What the status page shows, each second',
        description:
          'Server-sent events without names: each has a snapshot of phase and metrics as its data. For the page ' +
          'at `/`; its members may change with any version. Use `/metrics` for everything else.',
        tags: ['Administration'],
        response: {
          200: {
            description: 'The stream; it ends when the service stops.',
            headers: {
              'cache-control': Type.Literal('no-store, no-transform'),
              'x-accel-buffering': Type.Literal('no'),
            },
            content: {
              'text/event-stream': {
                schema: Type.String(),
                example:
                  'data: {"at":1767225600000,"phase":"ready","values":{},"histograms":{}}\n\n',
              },
            },
          },
          ...problemResponses(
            ...ANY_PROBLEMS,
            ...ACCESS_PROBLEMS,
            'too-many-followers',
            'route-not-found',
          ),
        },
      },
    },
    (request, reply) => {
      if (!stream.hasRoom) {
        return sendProblem(reply, 'too-many-followers', undefined, FULL_RETRY_AFTER_SECONDS);
      }
      if (isGone(reply)) return;
      reply.hijack();
      const response = reply.raw.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store, no-transform',
        'x-accel-buffering': 'no',
      });
      if (request.method === 'HEAD') response.end();
      else stream.add(response);
    },
  );
}

function configurationRoute(
  app: FastifyInstance,
  configuration: Readonly<Record<string, string>>,
): void {
  const variables = Object.entries(configuration).map(([name, value]) => ({ name, value }));
  const json = JSON.stringify({ variables });
  app.get(
    '/status/configuration',
    {
      config: { policy: ADMIN_POLICY },
      schema: {
        operationId: 'getConfiguration',
        summary: 'The configuration as it counts',
        description: 'All variables in the order of docs/configuration.md; secrets are masked.',
        tags: ['Administration'],
        response: {
          200: Type.Object(
            {
              variables: Type.Array(
                Type.Object({
                  name: Type.String({ description: 'Of the variable.' }),
                  value: Type.String({ description: 'As one would write it.' }),
                }),
              ),
            },
            {
              description: 'All variables.',
              examples: [{ variables: [{ name: 'PORT', value: '8080' }] }],
            },
          ),
          ...problemResponses(...ANY_PROBLEMS, ...ACCESS_PROBLEMS, 'route-not-found'),
        },
      },
    },
    (_request, reply) => sendJson(reply, 200, json),
  );
}
