/**
 * `/api/v1/dead-letters`: what could not be delivered, to look at, to send again, to throw away. For operators;
 * main thread, which waits for the disk in another one.
 */
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { parseInteger } from '../../config/quantity.ts';
import type { ProblemCode } from '../../errors/problems.ts';
import { isGone, sendJson, sendProblem } from '../answers/respond.ts';
import { READ_POLICY, type RoutePolicy } from '../guards/route-policy.ts';
import {
  letterPage,
  lettersQuery,
  pageJson,
  parseLettersQuery,
  redriveAnswer,
  redriveJson,
} from '../schemas/dead-letters.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { problemResponses, READ_PROBLEMS, WRITE_PROBLEMS } from '../schemas/problem.ts';
import type { RawQuery } from '../schemas/query-reader.ts';
import { jsonResponse } from '../schemas/response.ts';
import type { DeadLetterBox, RedriveEnd } from '../seams/dead-letters.ts';

export interface DeadLetterDeps {
  readonly deadLetters: DeadLetterBox;
}

const PATH = '/api/v1/dead-letters';
const RETRY_AFTER_SECONDS = 1;

const LIST_POLICY: RoutePolicy = { ...READ_POLICY, access: 'admin' };

const WRITE_POLICY: RoutePolicy = {
  ...LIST_POLICY,
  serves: 'writes',
  body: { refusal: 'The letter is named in the URL; there is no body.' },
  conditions: 'refused',
  rate: 'write',
};

const params = Type.Object({
  id: Type.Unsafe<string>({
    type: 'integer',
    minimum: 1,
    description: 'Of the letter.',
    examples: [17],
  }),
});

const EXAMPLE = {
  letters: [
    {
      id: 17,
      source: 'postgres',
      product_id: 'abc123',
      seq: 4711,
      content: { price: 49.99, stock: 70_000 },
      code: '22003',
      reason: 'smallint out of range',
      first_at: '2026-01-31T12:00:00.000Z',
      last_at: '2026-01-31T12:00:00.000Z',
      times: 1,
    },
  ],
  next: null,
};

export function deadLetterRoutes(app: FastifyInstance, { deadLetters }: DeadLetterDeps): void {
  app.route<{ Querystring: RawQuery }>({
    method: 'GET',
    url: PATH,
    config: { policy: LIST_POLICY },
    ...describedOnly,
    schema: {
      operationId: 'listDeadLetters',
      summary: 'What could not be delivered, and why',
      description:
        'Rows that a sink refuses for their data, and events that were set aside because they killed their applier; oldest first.',
      tags: ['Administration'],
      querystring: lettersQuery,
      response: {
        200: jsonResponse('A page of letters.', letterPage, EXAMPLE),
        ...problemResponses(...READ_PROBLEMS, 'invalid-parameter', 'precondition-failed'),
      },
    },
    handler: async (request, reply) => {
      const parsed = parseLettersQuery(request.query);
      if ('fault' in parsed) {
        sendProblem(reply, 'invalid-parameter', { detail: parsed.fault });
        return reply;
      }
      const { after, limit, source, productId } = parsed.query;
      const letters = await deadLetters.list(after, limit, { source, productId });
      if (!isGone(reply)) sendJson(reply, 200, pageJson(letters, limit));
      return reply;
    },
  });

  app.route<{ Params: { id: string } }>({
    method: 'POST',
    url: `${PATH}/:id/redrive`,
    config: { policy: WRITE_POLICY },
    ...describedOnly,
    schema: {
      operationId: 'redriveDeadLetter',
      summary: 'Send it again',
      description:
        "Of a sink's letter, the product's present state is written; of an applier's, the event is applied again as a new one.",
      tags: ['Administration'],
      params,
      response: {
        200: jsonResponse('What became of it.', redriveAnswer, { status: 'written' }),
        ...problemResponses(...WRITE_PROBLEMS, 'dead-letter-not-found', 'sink-not-configured'),
      },
    },
    handler: async (request, reply) => {
      const id = idOf(request.params.id);
      const end = id === undefined ? undefined : await deadLetters.redrive(id);
      if (!isGone(reply)) answerRedrive(reply, end);
      return reply;
    },
  });

  app.route<{ Params: { id: string } }>({
    method: 'DELETE',
    url: `${PATH}/:id`,
    config: { policy: WRITE_POLICY },
    ...describedOnly,
    schema: {
      operationId: 'deleteDeadLetter',
      summary: 'Throw it away',
      description: 'The product is written again when it changes; a dead event is gone for good.',
      tags: ['Administration'],
      params,
      response: {
        200: jsonResponse(
          'It is gone.',
          Type.Object({ status: Type.Literal('deleted') }, { additionalProperties: false }),
          { status: 'deleted' },
        ),
        ...problemResponses(...WRITE_PROBLEMS, 'dead-letter-not-found'),
      },
    },
    handler: async (request, reply) => {
      const id = idOf(request.params.id);
      const wasThere = id !== undefined && (await deadLetters.remove(id));
      if (isGone(reply)) return reply;
      if (wasThere) sendJson(reply, 200, '{"status":"deleted"}');
      else sendProblem(reply, 'dead-letter-not-found');
      return reply;
    },
  });
}

function idOf(text: string): number | undefined {
  const id = parseInteger(text);
  return id === undefined || id < 1 ? undefined : id;
}

function answerRedrive(reply: FastifyReply, end: RedriveEnd | undefined): void {
  if (end === undefined) sendProblem(reply, 'dead-letter-not-found');
  else if (end.status === 'no-sink') sendProblem(reply, 'sink-not-configured');
  else if (end.status === 'rejected') {
    sendProblem(
      reply,
      problemOf(end.offer),
      { outcome: outcomeOf(end.offer) },
      RETRY_AFTER_SECONDS,
    );
  } else sendJson(reply, 200, redriveJson(end));
}

type Refusal = Extract<RedriveEnd, { status: 'rejected' }>['offer'];

function problemOf(offer: Refusal): ProblemCode {
  if (offer === 'store-full') return 'store-full';
  if (offer === 'queue-full' || offer === 'undecided') return 'queue-full';
  return offer === 'closed' ? 'stopping' : 'storage-unavailable';
}

function outcomeOf(offer: Refusal): 'none' | 'unknown' {
  return offer === 'failed' ? 'unknown' : 'none';
}
