/**
 * One event of a batch: the single event's schema, and a partial form of it. Compiled with Ajv as
 * Fastify compiles the body of the single route, so that both refuse the same. Main thread.
 */
import { type Static, Type } from '@sinclair/typebox';
import type { FastifySchemaValidationError } from 'fastify';
import { ajv } from './ajv.ts';
import { eventFaults, futureFaults, isTooFarAhead } from './event-faults.ts';
import { eventTimeMs } from './event-time.ts';
import { type JudgedEvent, partialEvent, partialFaults, setsField } from './partial-event.ts';
import { productEventBody } from './product-event-body.ts';

const { price, stock, ...members } = productEventBody.properties;

const fullEvent = Type.Object(
  { ...members, price, stock, partial: Type.Optional(Type.Literal(false)) },
  { additionalProperties: false },
);
const partial = partialEvent({ ...members, partial: Type.Literal(true) });

/** One event of a batch, as the API's description shows it. */
export const batchEventSchema = Type.Union([fullEvent, ...partial.described], {
  $id: 'BatchEvent',
  description: 'With "partial": true, either price or stock may be missing.',
});

type BatchEvent = Static<typeof fullEvent> | Static<typeof partial.judged>;

const isFull = ajv.compile<BatchEvent>(fullEvent);
const isPartial = ajv.compile<BatchEvent>(partial.judged);

const NO_FIELD = 'A partial event needs price or stock.';

/** Judges one parsed event at the time `nowMs`. */
export function judgeBatchEvent(value: unknown, nowMs: number): JudgedEvent {
  if (saysPartial(value)) {
    if (!isPartial(value) || !setsField(value)) {
      return { faults: partialFaults(value, isPartial.errors, nowMs, NO_FIELD) };
    }
  } else if (!isFull(value)) {
    return { faults: eventFaults(value, isFull.errors as FastifySchemaValidationError[], nowMs) };
  }
  const occurredAtMs = value.occurred_at === undefined ? undefined : eventTimeMs(value.occurred_at);
  if (isTooFarAhead(occurredAtMs, nowMs)) return { faults: futureFaults() };
  return {
    event: { productId: value.product_id, price: value.price, stock: value.stock, occurredAtMs },
    eventId: value.event_id,
  };
}

function saysPartial(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && 'partial' in value && value.partial === true
  );
}
