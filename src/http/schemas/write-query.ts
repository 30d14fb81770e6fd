/**
 * What a write may ask for in its URL: `?ack=`. Closed, so that a misspelt parameter is refused and
 * not ignored. Main thread.
 */
import { Type } from '@sinclair/typebox';
import type { FastifySchemaValidationError } from 'fastify';

export const writeQuery = Type.Object(
  {
    ack: Type.Optional(
      Type.Union([Type.Literal('accepted'), Type.Literal('durable'), Type.Literal('applied')]),
    ),
  },
  { additionalProperties: false },
);

/** Says in one sentence what is wrong with a query that the schema refused. */
export function queryFault(errors: readonly FastifySchemaValidationError[]): string {
  const unknown = errors.find(({ keyword }) => keyword === 'additionalProperties');
  if (unknown === undefined) return 'ack must be one of accepted, durable, applied, given once.';
  const name = JSON.stringify(String(unknown.params.additionalProperty).slice(0, 80));
  return `The parameter ${name} is unknown; this route knows ack.`;
}
