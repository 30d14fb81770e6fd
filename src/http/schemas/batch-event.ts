/**
 * One event of a batch: the single event's schema, and a partial form of it. Compiled with Ajv as
 * Fastify compiles the body of the single route, so that both refuse the same. Main thread.
 */
import { type Static, Type } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import type { FastifySchemaValidationError } from 'fastify';
import type { BodyFault } from '../../errors/problems.ts';
import type { ProductEvent } from '../../intake/event-intake.ts';
import { eventFaults, futureFaults, isTooFarAhead } from './event-faults.ts';
import { eventTimeMs } from './event-time.ts';
import { ajvOptions, productEventBody } from './product-event.ts';
import { streamText } from './response.ts';

const { price, stock, ...others } = productEventBody.properties;
const members = {
  ...others,
  partial: Type.Optional(Type.Boolean()),
};

const fullEvent = Type.Object({ ...members, price, stock }, { additionalProperties: false });
const partialEvent = Type.Object(
  { ...members, price: Type.Optional(price), stock: Type.Optional(stock) },
  { additionalProperties: false },
);

/** One event of a batch, as the API's description shows it. */
export const batchEventSchema = Type.Union([fullEvent, partialEvent], {
  $id: 'BatchEvent',
  description: 'With "partial": true, price or stock may be missing.',
});

const EXAMPLES = [
  { product_id: 'abc123', price: 49.99, stock: 100 },
  { product_id: 'def456', stock: 7, partial: true },
];

/** The body of a batch by media type. */
export const batchBody = {
  content: {
    'application/json': {
      schema: Type.Array(Type.Ref('BatchEvent'), { examples: [EXAMPLES] }),
    },
    'application/x-ndjson': {
      schema: {
        ...streamText('BatchEvent', 'One event a line.'),
        examples: [EXAMPLES.map((event) => `${JSON.stringify(event)}\n`).join('')],
      },
    },
  },
};

type BatchEvent = Static<typeof partialEvent>;

const ajv = new Ajv(ajvOptions.customOptions);
const isFull = ajv.compile<BatchEvent>(fullEvent);
const isPartial = ajv.compile<BatchEvent>(partialEvent);

const NO_FIELD: BodyFault = { pointer: '', detail: 'A partial event needs price or stock.' };

/** A valid event, or everything that is wrong with it. */
export type JudgedEvent =
  | { readonly event: ProductEvent; readonly eventId: string | undefined }
  | { readonly faults: readonly BodyFault[] };

/** Judges one parsed event at the time `nowMs`. */
export function judgeBatchEvent(value: unknown, nowMs: number): JudgedEvent {
  const isValid = saysPartial(value) ? isPartial : isFull;
  if (!isValid(value)) {
    return { faults: eventFaults(value, isValid.errors as FastifySchemaValidationError[], nowMs) };
  }
  const occurredAtMs = value.occurred_at === undefined ? undefined : eventTimeMs(value.occurred_at);
  if (isTooFarAhead(occurredAtMs, nowMs)) return { faults: futureFaults() };
  if (value.price === undefined && value.stock === undefined) return { faults: [NO_FIELD] };
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
