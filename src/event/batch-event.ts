/**
 * One event of a batch: the single event's schema, and a partial form of it. Compiled with Ajv as
 * Fastify compiles the body of the single route, so that both refuse the same. Main thread.
 */
import { type Static, Type } from '@sinclair/typebox';
import type { FastifySchemaValidationError } from 'fastify';
import { ajv } from './ajv.ts';
import { eventFaults } from './event-faults.ts';
import { eventTimeMs } from './event-time.ts';
import { futureFault, isTooFarAhead } from './event-time-faults.ts';
import { partialEvent, partialFaults, setsField, type ValidatedEvent } from './partial-event.ts';
import { productEventBody } from './product-event-body.ts';

/** Validates a batch's events by the rules of one configuration. */
export interface BatchEvents {
  /** The least stock that they may set. */
  readonly stockMin: number;
  /** Validates one parsed event at the time `nowMs`. */
  validate(value: unknown, nowMs: number): ValidatedEvent;
}

function schemasOf(stockMin: number) {
  const { price, stock, ...members } = productEventBody(stockMin).properties;
  return {
    full: Type.Object(
      { ...members, price, stock, partial: Type.Optional(Type.Literal(false)) },
      { additionalProperties: false },
    ),
    partial: partialEvent({ ...members, partial: Type.Literal(true) }, stockMin),
  };
}

type Schemas = ReturnType<typeof schemasOf>;
type BatchEvent = Static<Schemas['full']> | Static<Schemas['partial']['validating']>;

/** One event of a batch, as the API's description shows it. */
export function batchEventSchema(stockMin: number) {
  const { full, partial } = schemasOf(stockMin);
  return Type.Union([full, ...partial.described], {
    $id: 'BatchEvent',
    description: 'With "partial": true, either price or stock may be missing.',
  });
}

const NO_FIELD = 'A partial event needs price or stock.';

/** Compiles the schemas, which takes some milliseconds: once for a service. */
export function batchEvents(stockMin: number): BatchEvents {
  const { full, partial } = schemasOf(stockMin);
  const isFull = ajv.compile<BatchEvent>(full);
  const isPartial = ajv.compile<BatchEvent>(partial.validating);

  function validate(value: unknown, nowMs: number): ValidatedEvent {
    if (saysPartial(value)) {
      if (!isPartial(value) || !setsField(value)) {
        const rules = { nowMs, stockMin, noField: NO_FIELD };
        return { faults: partialFaults(value, isPartial.errors, rules) };
      }
    } else if (!isFull(value)) {
      const errors = isFull.errors as FastifySchemaValidationError[];
      return { faults: eventFaults(value, errors, { nowMs, stockMin }) };
    }
    const { product_id: productId, price, stock, occurred_at, event_id: eventId } = value;
    const occurredAtMs = occurred_at === undefined ? undefined : eventTimeMs(occurred_at);
    if (occurredAtMs !== undefined && isTooFarAhead(occurredAtMs, nowMs)) {
      return { faults: [futureFault(occurredAtMs, nowMs)] };
    }
    return { event: { productId, price, stock, occurredAtMs }, eventId };
  }
  return { stockMin, validate };
}

function saysPartial(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && 'partial' in value && value.partial === true
  );
}
