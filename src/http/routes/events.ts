/**
 * `POST /api/v1/events`: validates one event, offers it to the intake and answers when its outcome is
 * known. Main thread; the hot path: no promise, one small object per pending reply.
 */

import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { eventFaults } from '../../event/event-faults.ts';
import { futureFault, isTooFarAhead } from '../../event/event-time-faults.ts';
import { productEventBody, toProductEvent } from '../../event/product-event-body.ts';
import { withSourceFaults } from '../../event/source-faults.ts';
import { sendProblem } from '../answers/respond.ts';
import type { RoutePolicy } from '../guards/route-policy.ts';
import { HotEvents } from '../requests/hot-events.ts';
import { acceptJson, JSON_TYPES } from '../requests/json-body.ts';
import {
  BODY_PROBLEMS,
  EVENT_PROBLEMS,
  WRITE_PROBLEMS,
  writeProblemResponses,
} from '../schemas/problem.ts';
import { writeAnswers, writeHeaders } from '../schemas/write-answer.ts';
import { queryFault, writeQuery } from '../schemas/write-query.ts';
import type { EventOffers } from '../writes/event-offers.ts';
import type { FutureEvents } from '../writes/future-events.ts';

export interface EventRouteDeps {
  readonly offers: EventOffers;
  /** The least stock that an event may set. */
  readonly stockMin: number;
  /** Largest body accepted, in bytes. */
  readonly bodyBytesMax: number;
  readonly future: FutureEvents;
}

const POLICY: RoutePolicy = {
  serves: 'writes',
  body: { types: JSON_TYPES, codings: 'plain' },
  conditions: 'own',
  idempotencyKey: 'own',
  access: 'writer',
  rate: 'write',
};

export function eventRoutes(app: FastifyInstance, deps: EventRouteDeps): void {
  const { offers, stockMin, bodyBytesMax, future } = deps;
  const hot = new HotEvents({ stockMin, bodyBytesMax, offers });
  acceptJson(app, JSON_TYPES);

  app.withTypeProvider<TypeBoxTypeProvider>().route({
    method: 'POST',
    url: '/api/v1/events',
    config: { policy: POLICY },
    schema: {
      operationId: 'sendEvent',
      summary: 'Send one event: the price and stock of a product',
      description:
        'Each of the two keeps the newest event time; an older one changes nothing. Answered once ' +
        'the event is on disk, unless `ack` says otherwise.',
      tags: ['Events'],
      body: productEventBody(stockMin),
      querystring: writeQuery,
      headers: writeHeaders,
      response: {
        ...writeAnswers,
        ...writeProblemResponses(
          ...WRITE_PROBLEMS,
          ...BODY_PROBLEMS,
          ...EVENT_PROBLEMS,
          'invalid-event',
        ),
      },
    },
    attachValidation: true,
    // Most events go no further than this; what is below says the same of them.
    preParsing: (request, reply, _payload, done) => {
      if (!hot.takes(request, reply, done)) done();
    },
    handler: (request, reply) => {
      const { body, validationError, sourceFaults } = request;
      if (validationError !== undefined) {
        if (validationError.validationContext === 'querystring') {
          const detail = queryFault(validationError.validation, writeQuery);
          return sendProblem(reply, 'invalid-parameter', { detail, outcome: 'none' });
        }
        if (body === undefined) return sendProblem(reply, 'empty-body');
        const rules = { nowMs: Date.now(), stockMin };
        const faults = eventFaults(body, validationError.validation, rules);
        future.note(faults);
        const errors = withSourceFaults(faults, sourceFaults);
        return sendProblem(reply, 'invalid-event', { errors });
      }
      const event = toProductEvent(body);
      const { occurredAtMs } = event;
      if (occurredAtMs !== undefined) {
        const nowMs = Date.now();
        if (isTooFarAhead(occurredAtMs, nowMs)) {
          const faults = [futureFault(occurredAtMs, nowMs)];
          future.note(faults);
          const errors = withSourceFaults(faults, sourceFaults);
          return sendProblem(reply, 'invalid-event', { errors });
        }
      }
      if (sourceFaults !== undefined) {
        const errors = withSourceFaults([], sourceFaults);
        return sendProblem(reply, 'invalid-event', { errors });
      }
      offers.submit(request, reply, event, request.query.ack, body.event_id);
    },
  });
}
