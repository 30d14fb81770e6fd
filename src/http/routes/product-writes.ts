/**
 * `PATCH` and `DELETE /api/v1/products/{id}`: sets price or stock alone, or delists. Both are events
 * like those of the POST: logged, ordered by event time, applied by the product's owner. A product
 * that nobody knows is created by the one (the other member null until it comes), and the other is
 * recorded all the same, so that an older event that comes later can't bring the product back.
 * Main thread.
 */

import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { futureFault, isTooFarAhead } from '../../event/event-time-faults.ts';
import { isProductId, productIdFaults } from '../../event/product-id.ts';
import { withSourceFaults } from '../../event/source-faults.ts';
import { sendProblem } from '../answers/respond.ts';
import type { RoutePolicy } from '../guards/route-policy.ts';
import { acceptJson, MERGE_PATCH_TYPE } from '../requests/json-body.ts';
import { handlerValidatedBody } from '../schemas/described-only.ts';
import {
  BODY_PROBLEMS,
  EVENT_PROBLEMS,
  WRITE_PROBLEMS,
  writeProblemResponses,
} from '../schemas/problem.ts';
import { productPatches } from '../schemas/product-patch.ts';
import { writeAnswers, writeHeaders } from '../schemas/write-answer.ts';
import { delistQuery, queryFault, queryTimeMs, writeQuery } from '../schemas/write-query.ts';
import type { EventOffers } from '../writes/event-offers.ts';
import type { FutureEvents } from '../writes/future-events.ts';

export interface ProductWriteDeps {
  readonly offers: EventOffers;
  readonly future: FutureEvents;
}

const URL_OF_PRODUCT = '/api/v1/products/:id';
const PATCH_TYPES = [MERGE_PATCH_TYPE, 'application/json'] as const;
const ACCEPT_PATCH = PATCH_TYPES.join(', ');

const PATCH_REFUSALS = Object.fromEntries(
  Object.entries(
    writeProblemResponses(...WRITE_PROBLEMS, ...BODY_PROBLEMS, ...EVENT_PROBLEMS, 'invalid-event'),
  ).map(([status, response]) => [
    status,
    { ...response, headers: { ...response.headers, 'accept-patch': Type.Literal(ACCEPT_PATCH) } },
  ]),
);

const PATCH_POLICY: RoutePolicy = {
  serves: 'writes',
  body: { types: PATCH_TYPES, codings: 'plain' },
  conditions: 'own',
  idempotencyKey: 'own',
  access: 'writer',
  rate: 'write',
};

const DELIST_POLICY: RoutePolicy = {
  ...PATCH_POLICY,
  body: { refusal: 'DELETE takes no body; an event time goes into the URL, as ?occurred_at=.' },
};

const params = Type.Object({
  id: Type.String({ description: 'The product_id, percent-encoded.', examples: ['abc123'] }),
});

/** Adds PATCH to `app`, a scope of its own: it takes bodies. */
export function productPatchRoute(
  app: FastifyInstance,
  deps: ProductWriteDeps & { readonly stockMin: number },
): void {
  const { offers, future } = deps;
  const patches = productPatches(deps.stockMin);
  acceptJson(app, PATCH_TYPES);

  app.withTypeProvider<TypeBoxTypeProvider>().route({
    method: 'PATCH',
    url: URL_OF_PRODUCT,
    config: { policy: PATCH_POLICY },
    ...handlerValidatedBody,
    schema: {
      consumes: [...PATCH_TYPES],
      operationId: 'patchProduct',
      summary: 'Set the price or the stock of a product, or both',
      description:
        'What is not given stays as it is. An unknown product is created, with null for what is ' +
        'not given until that comes.',
      tags: ['Products'],
      params,
      body: patches.body,
      querystring: writeQuery,
      headers: writeHeaders,
      response: {
        ...writeAnswers,
        ...PATCH_REFUSALS,
      },
    },
    attachValidation: true,
    handler: (request, reply) => {
      const { body, validationError, sourceFaults } = request;
      const { id } = request.params;
      if (refusedId(id, reply)) return;
      if (validationError !== undefined) {
        return refuseParameter(reply, queryFault(validationError.validation, writeQuery));
      }
      if (body === undefined) return sendProblem(reply, 'empty-body');
      const validated = patches.validate(id, body, Date.now());
      if ('faults' in validated || sourceFaults !== undefined) {
        const faults = 'faults' in validated ? validated.faults : [];
        future.note(faults);
        const errors = withSourceFaults(faults, sourceFaults);
        return sendProblem(reply, 'invalid-event', { errors });
      }
      offers.submit(request, reply, validated.event, request.query.ack, validated.eventId);
    },
  });
}

/** Adds DELETE to `app`, a scope of its own: it takes any content type, as long as no body comes. */
export function productDelistRoute(app: FastifyInstance, deps: ProductWriteDeps): void {
  const { offers, future } = deps;
  app.addContentTypeParser('*', (_request, _body, done) => done(null));

  app.withTypeProvider<TypeBoxTypeProvider>().route({
    method: 'DELETE',
    url: URL_OF_PRODUCT,
    config: { policy: DELIST_POLICY },
    schema: {
      operationId: 'delistProduct',
      summary: 'Delist a product',
      description:
        'Recorded whether the product is known or not. A later event (in event time) brings it ' +
        'back; an older one does not.',
      tags: ['Products'],
      params,
      querystring: delistQuery,
      headers: writeHeaders,
      response: {
        ...writeAnswers,
        ...writeProblemResponses(
          ...WRITE_PROBLEMS,
          ...EVENT_PROBLEMS,
          'unsupported-media-type', // an invalid Content-Type, before anybody asks for a body
        ),
      },
    },
    attachValidation: true,
    handler: (request, reply) => {
      const { validationError, query } = request;
      const { id } = request.params;
      if (refusedId(id, reply)) return;
      if (validationError !== undefined) {
        return refuseParameter(reply, queryFault(validationError.validation, delistQuery));
      }
      let occurredAtMs: number | undefined;
      if (query.occurred_at !== undefined) {
        const time = queryTimeMs(query.occurred_at);
        if (typeof time === 'string') return refuseParameter(reply, time);
        const nowMs = Date.now();
        if (isTooFarAhead(time, nowMs)) {
          const fault = futureFault(time, nowMs);
          future.note([fault]);
          return refuseParameter(reply, fault.detail);
        }
        occurredAtMs = time;
      }
      const event = { productId: id, price: undefined, stock: undefined, occurredAtMs };
      offers.submit(request, reply, { ...event, isDelete: true }, query.ack, undefined);
    },
  });
}

/** Answers 400 and returns true for an id that no product can have. */
function refusedId(id: string, reply: FastifyReply): boolean {
  if (isProductId(id)) return false;
  refuseParameter(reply, `The id in the path is invalid: ${productIdFaults(id).join(' ')}`);
  return true;
}

function refuseParameter(reply: FastifyReply, detail: string): void {
  sendProblem(reply, 'invalid-parameter', { detail, outcome: 'none' });
}
