/**
 * The body of `PATCH /api/v1/products/{id}`: an event of which price or stock may be missing. As a
 * merge patch (RFC 7396), `null` would take a member away; here it is refused, because a price or a
 * stock that was set goes only with its product. Main thread.
 */
import { type Static, Type } from '@sinclair/typebox';
import type { BodyFault } from '../../errors/problems.ts';
import { ajv } from '../../event/ajv.ts';
import { eventTimeMs } from '../../event/event-time.ts';
import { futureFault, isTooFarAhead } from '../../event/event-time-faults.ts';
import {
  partialEvent,
  partialFaults,
  setsField,
  type ValidatedEvent,
} from '../../event/partial-event.ts';
import { productEventBody } from '../../event/product-event-body.ts';

const FIELDS = ['price', 'stock'] as const;
const NO_FIELD = 'The body needs price or stock, or both.';

/** The schema that describes a patch, and what validates one, where stock may go down to `stockMin`. */
export function productPatches(stockMin: number) {
  const { occurred_at, event_id } = productEventBody(stockMin).properties;
  const patch = partialEvent({ occurred_at, event_id }, stockMin);
  const body = Type.Union([...patch.described], { examples: [{ stock: 7 }] });
  const isValid = ajv.compile<Static<typeof patch.validating>>(patch.validating);

  /**
   * A valid patch of `productId` as an event, or everything that is wrong with it at the time `nowMs`.
   * The described schema is not run: a body of many faults would be gone over once for each branch.
   */
  function validate(productId: string, body: unknown, nowMs: number): ValidatedEvent {
    if (!isValid(body) || !setsField(body)) return { faults: patchFaults(body, nowMs) };
    const occurredAtMs = body.occurred_at === undefined ? undefined : eventTimeMs(body.occurred_at);
    if (occurredAtMs !== undefined && isTooFarAhead(occurredAtMs, nowMs)) {
      return { faults: [futureFault(occurredAtMs, nowMs)] };
    }
    return {
      event: {
        productId,
        // Adding 0 turns −0, which JSON can say, into 0.
        price: body.price === undefined ? undefined : body.price + 0,
        stock: body.stock === undefined ? undefined : body.stock + 0,
        occurredAtMs,
      },
      eventId: body.event_id,
    };
  }

  /** Lists every fault of the body that was validated last. */
  function patchFaults(body: unknown, nowMs: number): readonly BodyFault[] {
    const rules = { nowMs, stockMin, noField: NO_FIELD };
    const faults = partialFaults(body, isValid.errors, rules);
    if (typeof body !== 'object' || body === null || Array.isArray(body)) return faults;
    const given = FIELDS.filter((name) => Object.hasOwn(body, name));
    const nulls = given.filter((name) => (body as Record<string, unknown>)[name] === null);
    return faults.map((fault) => {
      const name = nulls.find((each) => fault.pointer === `/${each}`);
      return name === undefined ? fault : nullFault(name);
    });
  }

  return { body, validate };
}

function nullFault(name: string): BodyFault {
  const detail = `${name} can't be taken away alone, so null is not allowed; DELETE delists the product.`;
  return { pointer: `/${name}`, detail };
}
