/**
 * `GET /api/v1/events/{seq}`: what became of an event, for as long as that is kept. Main thread.
 */

import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { EVENTS_PATH, sendJson, sendProblem } from '../answers/respond.ts';
import { READ_POLICY } from '../guards/route-policy.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { problemResponses, READ_PROBLEMS } from '../schemas/problem.ts';
import { jsonResponse } from '../schemas/response.ts';
import { eventOutcome } from '../schemas/write-answer.ts';
import type { EventOutcomes } from '../seams/event-outcomes.ts';

export interface EventOutcomeDeps {
  readonly outcomes: Pick<EventOutcomes, 'outcomeOf'>;
}

const RECEIPT =
  'This number was given to no event: under it the log notes how far a batch with a key came.';

const SEQ = /^[1-9]\d{0,15}$/;

export function eventOutcomeRoute(app: FastifyInstance, deps: EventOutcomeDeps): void {
  const { outcomes } = deps;

  app.withTypeProvider<TypeBoxTypeProvider>().route({
    method: 'GET',
    url: `${EVENTS_PATH}:seq`,
    config: { policy: READ_POLICY },
    ...describedOnly,
    schema: {
      operationId: 'getEventOutcome',
      summary: 'What became of an event',
      description: 'For the last OUTCOME_WINDOW events; the Location of every write leads here.',
      tags: ['Events'],
      params: Type.Object({
        seq: Type.Unsafe<string>({
          type: 'integer',
          minimum: 1,
          description: 'The number of the event.',
          examples: [17],
        }),
      }),
      response: {
        200: jsonResponse('What became of it.', eventOutcome, { seq: 17, status: 'applied' }),
        ...problemResponses(
          ...READ_PROBLEMS,
          'event-not-found',
          'outcome-expired',
          'precondition-failed',
        ),
      },
    },
    handler: (request, reply) => {
      const seq = SEQ.test(request.params.seq) ? Number(request.params.seq) : 0;
      const outcome = Number.isSafeInteger(seq) && seq > 0 ? outcomes.outcomeOf(seq) : 'unknown';
      if (outcome === 'unknown') sendProblem(reply, 'event-not-found');
      else if (outcome === 'receipt') sendProblem(reply, 'event-not-found', { detail: RECEIPT });
      else if (outcome === 'expired') sendProblem(reply, 'outcome-expired');
      else sendJson(reply, 200, `{"seq":${seq},"status":"${outcome}"}`);
    },
  });
}
