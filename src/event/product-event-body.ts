/**
 * The body of `POST /api/v1/events`: the schema that all events are made of, and the step from a valid
 * body to a ProductEvent. Main thread.
 */
import { type Static, Type } from '@sinclair/typebox';
import { ID_BYTES_MAX } from '../ring/slot.ts';
import { SECONDS_END, SECONDS_MIN } from '../time/epoch-unit.ts';
import { EVENT_ID_BYTES_MAX } from './event-id.ts';
import { EVENT_TIME_MS_MIN, eventTimeMs } from './event-time.ts';
import type { FullEvent } from './product-event.ts';

/** The schema where stock may go down to `stockMin` (STOCK_MIN). */
export function productEventBody(stockMin: number) {
  return Type.Object(
    {
      product_id: Type.String({
        format: 'product-id',
        description: `1 to ${ID_BYTES_MAX} bytes of UTF-8 without control characters; not . or .., which URLs can not carry.`,
      }),
      price: Type.Number({ minimum: 0 }),
      stock: Type.Integer({ minimum: stockMin, maximum: Number.MAX_SAFE_INTEGER }),
      // One schema with two types, not a union: an anyOf reports each branch that failed.
      occurred_at: Type.Optional(
        Type.Unsafe<string | number>({
          type: ['string', 'integer'],
          format: 'event-time',
          minimum: EVENT_TIME_MS_MIN,
          // Epoch seconds: taken as milliseconds, they would be older than everything, for ever.
          not: { type: 'integer', minimum: SECONDS_MIN, exclusiveMaximum: SECONDS_END },
          description:
            'When it happened: RFC 3339 with a zone, kept to the microsecond, or integer milliseconds ' +
            'since 1970 (not seconds: numbers of 9 and 10 digits are refused); at most 5 minutes ' +
            'ahead. Without it, when it arrived, after everything that came before.',
        }),
      ),
      event_id: Type.Optional(
        Type.String({
          format: 'event-id',
          description:
            `1 to ${EVENT_ID_BYTES_MAX} bytes of UTF-8 without control characters. The same id again ` +
            'with the same content is the same event; with other content it is refused.',
        }),
      ),
    },
    {
      additionalProperties: false,
      examples: [
        { product_id: 'abc123', price: 49.99, stock: 100, occurred_at: '2026-01-01T00:00:00Z' },
      ],
    },
  );
}

export type ProductEventBody = Static<ReturnType<typeof productEventBody>>;

/** Converts a body that the schema found valid. Adding 0 turns −0, which JSON can say, into 0. */
export function toProductEvent(body: ProductEventBody): FullEvent {
  return {
    productId: body.product_id,
    price: body.price + 0,
    stock: body.stock + 0,
    occurredAtMs: body.occurred_at === undefined ? undefined : eventTimeMs(body.occurred_at),
  };
}
