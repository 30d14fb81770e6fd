/**
 * What `POST /api/v1/events/batch` may be asked in its URL, and what it answers. The bodies are
 * described by `batch-event.ts`. Main thread.
 */
import { type Static, Type } from '@sinclair/typebox';
import type { FastifySchemaValidationError } from 'fastify';
import { SET_ASIDE_LISTED_MAX } from '../../outcome/set-aside-search.ts';

export const batchQuery = Type.Object(
  {
    on_error: Type.Optional(
      Type.Union([Type.Literal('reject'), Type.Literal('continue')], {
        description: 'reject: all events or none. continue: the good ones, of any number.',
      }),
    ),
    ack: Type.Optional(
      Type.Union([Type.Literal('accepted'), Type.Literal('durable'), Type.Literal('applied')]),
    ),
  },
  { additionalProperties: false },
);

export type OnError = NonNullable<Static<typeof batchQuery>['on_error']>;

const seq = Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]);

export const batchAnswer = Type.Object({
  status: Type.Union([Type.Literal('accepted'), Type.Literal('durable'), Type.Literal('applied')]),
  accepted: Type.Integer({ description: 'Events taken now.' }),
  rejected: Type.Integer({ description: 'Events that have faults; never taken.' }),
  duplicates: Type.Integer({ description: 'Events known already, under the same key.' }),
  first_seq: seq,
  last_seq: seq,
  set_aside: Type.Optional(
    Type.Array(Type.Integer({ minimum: 1 }), {
      maxItems: SET_ASIDE_LISTED_MAX,
      description:
        'With ack=applied: seqs of events that could not be applied, the first ones; absent if there are none.',
    }),
  ),
  errors: Type.Array(
    Type.Object({
      line: Type.Integer({
        minimum: 1,
        description: 'Line of the body, or place in the array, from 1.',
      }),
      pointer: Type.String({ description: 'RFC 6901 JSON pointer into the event.' }),
      detail: Type.String(),
    }),
    { maxItems: 100, description: 'The first faults; `rejected` counts all faulty events.' },
  ),
});

export type BatchAnswer = Static<typeof batchAnswer>;

/** Says in one sentence what is wrong with a query that the schema refused. */
export function batchQueryFault(errors: readonly FastifySchemaValidationError[]): string {
  const unknown = errors.find(({ keyword }) => keyword === 'additionalProperties');
  if (unknown !== undefined) {
    const name = JSON.stringify(String(unknown.params.additionalProperty).slice(0, 80));
    return `The parameter ${name} is unknown; this route knows on_error and ack.`;
  }
  return errors.some(({ instancePath }) => instancePath === '/on_error')
    ? 'on_error must be reject or continue, given once.'
    : 'ack must be one of accepted, durable, applied, given once.';
}
