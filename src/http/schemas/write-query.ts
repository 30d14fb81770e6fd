/**
 * What a write may ask for in its URL: `?ack=`, and for a delist, which has no body, `?occurred_at=`.
 * Closed, so that a misspelt parameter is refused and not ignored. Main thread.
 */
import { type TObject, Type } from '@sinclair/typebox';
import type { FastifySchemaValidationError } from 'fastify';
import { EVENT_TIME_MS_MIN, eventTimeMs, isEventTime } from '../../event/event-time.ts';
import { eventTimeFault } from '../../event/event-time-faults.ts';
import { ACK_LEVELS } from '../../intake/event-intake.ts';
import { SECONDS_END, SECONDS_MIN } from '../../time/epoch-unit.ts';
import { oneOf } from './one-of.ts';

/** What `?ack=` may say, of every write. */
export const ackParameter = Type.Optional(
  oneOf(ACK_LEVELS, {
    description:
      'When to answer: once the write is queued (accepted), on disk (durable) or visible to reads ' +
      '(applied). Without it, as ACK says, which is durable unless configured otherwise.',
  }),
);

export const writeQuery = Type.Object({ ack: ackParameter }, { additionalProperties: false });

export const delistQuery = Type.Object(
  {
    ack: ackParameter,
    occurred_at: Type.Optional(
      Type.String({
        description: 'RFC 3339 date-time with a zone, or integer milliseconds since 1970.',
      }),
    ),
  },
  { additionalProperties: false },
);

const NUMBER = /^-?\d{1,19}(\.\d+)?$/;
/** An offset whose + was read as the space that it stands for in a query. */
const LOST_PLUS = / \d\d:?\d\d$/;

/** The time that `?occurred_at=` names, in ms since the epoch; one sentence for what is no time. */
export function queryTimeMs(text: string): number | string {
  if (!NUMBER.test(text)) {
    if (isEventTime(text)) return eventTimeMs(text);
    return DATE_TIME.test(text) && LOST_PLUS.test(text) ? PLUS_FAULT : eventTimeFault(text);
  }
  const ms = eventTimeMs(Number(text));
  const isTime =
    Number.isInteger(ms) && ms >= EVENT_TIME_MS_MIN && !(ms >= SECONDS_MIN && ms < SECONDS_END);
  return isTime ? ms : eventTimeFault(ms);
}

const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt ]/;
const PLUS_FAULT =
  'occurred_at must have the + of its zone percent-encoded, as %2B: a + in a URL is a space.';
const TWICE_FAULT = 'occurred_at must be given once.';

/** Says in one sentence what is wrong with a query that `schema` refused. */
export function queryFault(
  errors: readonly FastifySchemaValidationError[],
  schema: TObject,
): string {
  const unknown = errors.find(({ keyword }) => keyword === 'additionalProperties');
  if (unknown !== undefined) {
    const name = JSON.stringify(String(unknown.params.additionalProperty).slice(0, 80));
    const known = Object.keys(schema.properties).join(' and ') || 'none';
    return `The parameter ${name} is unknown; this route knows ${known}.`;
  }
  if (errors.some(({ instancePath }) => instancePath === '/occurred_at')) return TWICE_FAULT;
  return `ack must be one of ${ACK_LEVELS.join(', ')}, given once.`;
}
