/**
 * An event that may set price or stock alone. Two schemas of the same thing: the API's description
 * says which fields must be there, as a union, for which Ajv would report each branch that failed;
 * so bodies are validated by a form without it, and `setsField`. Main thread.
 */
import { type TProperties, Type } from '@sinclair/typebox';
import type { ErrorObject } from 'ajv';
import type { FastifySchemaValidationError } from 'fastify';
import type { BodyFault } from '../errors/problems.ts';
import { eventFaults } from './event-faults.ts';
import type { ProductEvent } from './product-event.ts';
import { productEventBody } from './product-event-body.ts';

const CLOSED = { additionalProperties: false };

/** A valid event, or everything that is wrong with it. */
export type ValidatedEvent =
  | { readonly event: ProductEvent; readonly eventId: string | undefined }
  | { readonly faults: readonly BodyFault[] };

/** Both schemas of an object of `members` and a field or two, stock from `stockMin` on. */
export function partialEvent<M extends TProperties>(members: M, stockMin: number) {
  const { price, stock } = productEventBody(stockMin).properties;
  const mayHavePrice = Type.Optional(price);
  const mayHaveStock = Type.Optional(stock);
  return {
    described: [
      Type.Object({ ...members, price, stock: mayHaveStock }, CLOSED),
      Type.Object({ ...members, price: mayHavePrice, stock }, CLOSED),
    ],
    validating: Type.Object({ ...members, price: mayHavePrice, stock: mayHaveStock }, CLOSED),
  } as const;
}

/** Lists what is wrong with `body`, which broke the validating form with `errors`, or sets nothing. */
export function partialFaults(
  body: unknown,
  errors: readonly ErrorObject[] | null | undefined,
  { nowMs, stockMin, noField }: { nowMs: number; stockMin: number; noField: string },
): readonly BodyFault[] {
  const faults = eventFaults(body, (errors ?? []) as FastifySchemaValidationError[], {
    nowMs,
    stockMin,
  });
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return faults;
  if (Object.hasOwn(body, 'price') || Object.hasOwn(body, 'stock')) return faults;
  return [...faults, { pointer: '', detail: noField }];
}

/** Whether a body that is valid by that form sets anything. */
export function setsField(body: { readonly price?: number; readonly stock?: number }): boolean {
  return body.price !== undefined || body.stock !== undefined;
}
