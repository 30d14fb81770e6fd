/**
 * Problem details as the OpenAPI document shows them: one shared schema, and for each route the
 * codes it can answer with, grouped by status. Main thread, constants only; derived from the
 * registry in `src/errors/problems.ts`, so that no status is written twice.
 */
import { type TSchema, Type } from '@sinclair/typebox';
import { PROBLEMS, type ProblemCode, problemBody } from '../../errors/problems.ts';
import { oneOf } from './one-of.ts';
import {
  allowHeader,
  challengeHeader,
  eventHeaders,
  type ResponseHeaders,
  rateLimitHeaders,
  retryAfterHeader,
} from './response.ts';

const count = (description: string) => Type.Optional(Type.Integer({ minimum: 0, description }));
const seqOrNull = Type.Optional(Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]));

/** One part of readiness, as `/readyz?verbose` shows it. */
export const healthCheck = Type.Object(
  {
    name: Type.String({
      pattern: '^(log|appliers|http|store|disk|replay|draining|history|sink .+)$',
      description:
        'log, appliers, store, disk, replay, draining; with HTTP_THREADS http, with HISTORY history, and sink NAME for each sink.',
    }),
    ok: Type.Boolean({ description: 'False where it turns readiness red.' }),
    state: Type.String(),
    detail: Type.Optional(Type.String({ description: 'For people.' })),
  },
  { additionalProperties: false },
);

/** RFC 9457; registered with the app under its `$id`, and shared by every route. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'A URN that ends in the code.' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String(),
    instance: Type.String({ description: 'The id of the request.' }),
    code: Type.String({ enum: Object.keys(PROBLEMS) }),
    outcome: Type.Optional(
      Type.String({
        enum: ['none', 'partial', 'unknown'],
        description:
          'Of a write. `none`: it was not applied and will not be. `unknown`: it, or a ' +
          'part of it, had been handed to a disk that failed. `partial`: of a batch, what is counted was taken and ' +
          'the rest will not be.',
      }),
    ),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          line: Type.Optional(Type.Integer({ minimum: 1, description: 'Of a batch.' })),
          pointer: Type.String({ description: 'RFC 6901, into the body; empty for all of it.' }),
          detail: Type.String(),
        }),
      ),
    ),
    checks: Type.Optional(
      Type.Array(healthCheck, { description: 'Of `/readyz?verbose`: what readiness is made of.' }),
    ),
    accepted: count('Of a batch: events taken.'),
    rejected: count('Of a batch: events that have faults.'),
    duplicates: count('Of a batch: events known already, under the same key.'),
    first_seq: seqOrNull,
    last_seq: seqOrNull,
  },
  {
    $id: 'Problem',
    additionalProperties: false,
    description: 'Problem details (RFC 9457).',
  },
);

/** What any request may be answered with. */
export const ANY_PROBLEMS = [
  'bad-request',
  'request-timeout',
  'headers-too-large',
  'expectation-failed',
  'internal',
] as const;

/** What whoever lacks the role is refused with, on every route that takes one. */
export const ACCESS_PROBLEMS = [
  'token-missing',
  'token-invalid',
  'forbidden',
  'issuer-unreachable',
] as const;

/** What a read may be refused with, beside what is its own. */
export const READ_PROBLEMS = [
  ...ANY_PROBLEMS,
  ...ACCESS_PROBLEMS,
  'rate-limited',
  'not-ready',
  'stopping',
] as const;

/** What any write may be refused with. */
export const WRITE_PROBLEMS = [
  ...READ_PROBLEMS,
  'invalid-parameter',
  'invalid-header',
  'idempotency-conflict',
  'queue-full',
  'read-only',
  'storage-unavailable',
  'store-full',
] as const;

/** What a body may be refused with. */
export const BODY_PROBLEMS = [
  'empty-body',
  'invalid-encoding',
  'invalid-json',
  'body-too-large',
  'unsupported-media-type',
] as const;

/** What a single write may end in, on record as it is: these answers point at its event. */
export const EVENT_PROBLEMS = ['precondition-failed', 'outcome-expired', 'event-dead'] as const;

export interface ProblemResponse {
  readonly description: string;
  readonly headers?: ResponseHeaders;
  readonly content: {
    readonly 'application/problem+json': { readonly schema: TSchema; readonly example: unknown };
  };
}

const CHALLENGING: ReadonlySet<ProblemCode> = new Set([
  'token-missing',
  'token-invalid',
  'forbidden',
]);

const POINTING: ReadonlySet<ProblemCode> = new Set(EVENT_PROBLEMS);

const EXAMPLE_REQUEST_ID = 'req-1';

/** The responses of a route that can answer with `codes`, by status. */
export function problemResponses(
  ...codes: readonly ProblemCode[]
): Record<number, ProblemResponse> {
  return responsesOf(codes, () => false);
}

/** The same of a route that writes one event: refusals of an event on record carry its headers. */
export function writeProblemResponses(
  ...codes: readonly ProblemCode[]
): Record<number, ProblemResponse> {
  return responsesOf(codes, (code) => POINTING.has(code));
}

function responsesOf(
  codes: readonly ProblemCode[],
  pointsAtEvent: (code: ProblemCode) => boolean,
): Record<number, ProblemResponse> {
  const byStatus = Map.groupBy(codes, (code) => PROBLEMS[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      problemResponse(group, group.some(pointsAtEvent) ? eventHeaders : {}),
    ]),
  );
}

/**
 * The shared schema, narrowed to what one status of one route can say. What `Type.Intersect` makes: it looks at its
 * parts for their types, and with hundreds of them a start takes longer by 30 ms.
 */
function problemOf(codes: readonly ProblemCode[]): TSchema {
  return Type.Unsafe({ allOf: [Type.Ref('Problem'), Type.Object({ code: oneOf(codes) })] });
}

function problemResponse(
  codes: readonly ProblemCode[],
  ownHeaders: ResponseHeaders,
): ProblemResponse {
  const example = problemBody(codes[0], EXAMPLE_REQUEST_ID);
  const isLimit = codes.includes('rate-limited');
  const saysWhen =
    PROBLEMS[codes[0]].status === 503 || isLimit || codes.includes('idempotency-in-progress');
  const isReadOnly = codes.includes('read-only');
  const challenges = codes.some((code) => CHALLENGING.has(code));
  const headers = {
    ...(saysWhen ? retryAfterHeader : {}),
    ...(isLimit ? rateLimitHeaders : {}),
    ...(challenges ? challengeHeader : {}),
    ...(isReadOnly ? allowHeader : {}),
    ...ownHeaders,
  };
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].detail}`).join(' '),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    content: { 'application/problem+json': { schema: problemOf(codes), example } },
  };
}
