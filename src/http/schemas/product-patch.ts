/**
 * The body of `PATCH /api/v1/products/{id}`: an event of which price or stock may be missing. As a
 * merge patch (RFC 7396), `null` would take a member away; here it is refused, because a price or a
 * stock that was set goes only with its product. Main thread.
 */
import { type Static, Type } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import type { BodyFault } from '../../errors/problems.ts';
import type { ProductEvent } from '../../intake/event-intake.ts';
import { eventTimeMs } from './event-time.ts';
import { partialEvent, partialFaults } from './partial-event.ts';
import { ajvOptions, productEventBody } from './product-event.ts';

const { occurred_at, event_id } = productEventBody.properties;
const patch = partialEvent({ occurred_at, event_id });

export const productPatchBody = Type.Union([...patch.described], { examples: [{ stock: 7 }] });

export type ProductPatchBody = Static<typeof patch.judged>;

const isJudged = new Ajv(ajvOptions.customOptions).compile(patch.judged);

const FIELDS = ['price', 'stock'] as const;
const NO_FIELD = 'The body needs price or stock, or both.';

/** Lists every fault of `body`, which the schema refused. */
export function patchFaults(body: unknown, nowMs: number): readonly BodyFault[] {
  isJudged(body);
  const faults = partialFaults(body, isJudged.errors, nowMs, NO_FIELD);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return faults;
  const given = FIELDS.filter((name) => Object.hasOwn(body, name));
  const nulls = given.filter((name) => (body as Record<string, unknown>)[name] === null);
  return faults.map((fault) => {
    const name = nulls.find((each) => fault.pointer === `/${each}`);
    return name === undefined ? fault : nullFault(name);
  });
}

function nullFault(name: string): BodyFault {
  const detail = `${name} can't be taken away alone, so null is not allowed; DELETE delists the product.`;
  return { pointer: `/${name}`, detail };
}

/** Converts a body that the schema found valid. */
export function toPartialEvent(productId: string, body: ProductPatchBody): ProductEvent {
  return {
    productId,
    // Adding 0 turns −0, which JSON can say, into 0.
    price: body.price === undefined ? undefined : body.price + 0,
    stock: body.stock === undefined ? undefined : body.stock + 0,
    occurredAtMs: body.occurred_at === undefined ? undefined : eventTimeMs(body.occurred_at),
  };
}
