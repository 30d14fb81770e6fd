/**
 * `GET /debug/pprof/profile` and `/debug/pprof/heap`: profiles of all threads in pprof's format, at the
 * paths where its tools look. Main thread. One at a time; a client that goes away ends its own.
 */
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { isGone, sendProblem } from '../answers/respond.ts';
import { REQUEST_ID_HEADER } from '../connection/request-ids.ts';
import type { RoutePolicy } from '../guards/route-policy.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { ACCESS_PROBLEMS, ANY_PROBLEMS, problemResponses } from '../schemas/problem.ts';
import type { Profiles, TakenProfile } from '../seams/profiles.ts';

const POLICY: RoutePolicy = {
  serves: 'always',
  body: 'ignored',
  conditions: 'ignored',
  idempotencyKey: 'ignored',
  access: 'admin',
  rate: 'none',
};

const SECONDS_MAX = 300;
const PROFILE_TYPE = 'application/octet-stream';
const FAULT = `seconds must be a whole number from 1 to ${SECONDS_MAX}.`;

interface ProfileRoute {
  readonly kind: 'cpu' | 'heap';
  readonly url: string;
  readonly operationId: string;
  readonly summary: string;
  readonly secondsDefault: number;
}

const ROUTES: readonly ProfileRoute[] = [
  {
    kind: 'cpu',
    url: '/debug/pprof/profile',
    operationId: 'getCpuProfile',
    summary: 'Where the threads spend their CPU time',
    secondsDefault: 30, // as Go's
  },
  {
    kind: 'heap',
    url: '/debug/pprof/heap',
    operationId: 'getHeapProfile',
    summary: 'What the threads have allocated meanwhile and still hold',
    secondsDefault: 10,
  },
];

export function profileRoutes(app: FastifyInstance, profiles: Profiles): void {
  for (const route of ROUTES) profileRoute(app, profiles, route);
}

function profileRoute(app: FastifyInstance, profiles: Profiles, route: ProfileRoute): void {
  const { kind, url, operationId, summary, secondsDefault } = route;
  const query = Type.Object({
    seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: SECONDS_MAX,
        default: secondsDefault,
        description: 'How long it is taken.',
      }),
    ),
  });
  app.route<{ Querystring: Readonly<Record<keyof Static<typeof query>, unknown>> }>({
    method: 'GET',
    url,
    config: { policy: POLICY },
    ...describedOnly,
    exposeHeadRoute: false,
    schema: {
      operationId,
      summary,
      description:
        'Of all threads, in the format of pprof (gzipped): for `go tool pprof`. The label `thread` tells ' +
        'them apart. One is taken at a time.',
      tags: ['Administration'],
      querystring: query,
      response: {
        200: {
          description: 'The profile.',
          headers: {
            'content-disposition': Type.String({ description: 'A name for the file.' }),
          },
          content: {
            [PROFILE_TYPE]: {
              schema: Type.String({ format: 'binary' }),
              example: '(a file)',
            },
          },
        },
        ...problemResponses(
          ...ANY_PROBLEMS,
          ...ACCESS_PROBLEMS,
          'route-not-found',
          'invalid-parameter',
          'profile-in-progress',
        ),
      },
    },
    handler: (request, reply) => {
      const seconds = secondsOf(request.query.seconds, secondsDefault);
      if (seconds === undefined) return sendProblem(reply, 'invalid-parameter', { detail: FAULT });
      const ended = new AbortController();
      const { socket } = reply.raw;
      const timeoutMs = socket?.timeout ?? 0;
      // Nothing is sent meanwhile, and that is no silence to end the connection for.
      socket?.setTimeout(0);
      reply.raw.once('close', () => ended.abort());
      profiles[kind](seconds * 1000, ended.signal).then(
        (taken) => {
          socket?.setTimeout(timeoutMs);
          if (!isGone(reply)) sendProfile(reply, kind, taken);
        },
        (error) => reply.send(error),
      );
    },
  });
}

function sendProfile(reply: FastifyReply, kind: string, taken: TakenProfile): void {
  if (taken === 'busy') {
    sendProblem(reply, 'profile-in-progress');
    return;
  }
  reply.hijack();
  reply.raw
    .writeHead(200, {
      'content-type': PROFILE_TYPE,
      'content-length': taken.length,
      'content-disposition': `attachment; filename="${kind}.pb.gz"`,
      [REQUEST_ID_HEADER]: String(reply.request.id),
    })
    .end(taken);
}

/** `undefined` = not allowed. */
function secondsOf(given: unknown, secondsDefault: number): number | undefined {
  if (given === undefined) return secondsDefault;
  if (typeof given !== 'string' || !/^[1-9]\d{0,2}$/.test(given)) return undefined;
  const seconds = Number(given);
  return seconds <= SECONDS_MAX ? seconds : undefined;
}
