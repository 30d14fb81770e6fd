/**
 * What the change feed may be asked and what it answers: the schemas that describe it, and the
 * functions that read the request. Main thread.
 */
import { Type } from '@sinclair/typebox';
import { parseInteger } from '../../config/quantity.ts';
import { type Parsed, QueryReader, type RawQuery } from './query-reader.ts';

export const CHANGES_LIMIT_DEFAULT = 1000;
export const CHANGES_LIMIT_MAX = 10_000;

const SEQ_RULE = `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`;

const seq = (description: string) =>
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description });

export const changesQuery = Type.Object(
  {
    since: Type.Optional(
      seq(
        'Changes by events with a greater seq; without it (and without Last-Event-ID), from now on.',
      ),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: CHANGES_LIMIT_MAX,
        default: CHANGES_LIMIT_DEFAULT,
        description:
          'Changes in one JSON answer at the most; asks for JSON where Accept takes both.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const changesHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      pattern: '^[0-9]*$',
      description: 'As `since`, before which it counts; browsers send it when they reconnect.',
    }),
  ),
});

export const changeSchema = Type.Object(
  {
    seq: seq('The event.'),
    product_id: Type.String(),
    changed: Type.Array(Type.Union([Type.Literal('price'), Type.Literal('stock')]), {
      description:
        'What the event carried, without a field known to have been newer already: that is known ' +
        'while it is the last event of the product.',
    }),
    occurred_at: Type.String({ format: 'date-time' }),
    deleted: Type.Boolean({ description: 'The product is delisted; price and stock are null.' }),
    price: Type.Union([Type.Number(), Type.Null()]),
    stock: Type.Union([Type.Number(), Type.Null()]),
    version: seq('The seq of the state that price and stock are: that of the event, or newer.'),
  },
  { $id: 'Change', additionalProperties: false, description: 'What one event changed.' },
);

export const changePage = Type.Object({
  changes: Type.Array(Type.Ref('Change')),
  next_since: seq('The since of the next request.'),
  reset: Type.Boolean({
    description:
      'The log does not reach back to since (or never came that far): export the products, then go on from next_since.',
  }),
});

export interface ChangesQuery {
  /** `undefined`: from now on. */
  readonly since: number | undefined;
  readonly limit: number | undefined;
}

export const LAST_EVENT_ID_FAULT = `Last-Event-ID must be ${SEQ_RULE}, given once.`;

export function parseChangesQuery(raw: RawQuery): Parsed<ChangesQuery> {
  const reader = new QueryReader(raw, Object.keys(changesQuery.properties));
  const since = reader.once('since', parseInteger, SEQ_RULE);
  const limit = reader.once('limit', parseLimit, `an integer from 1 to ${CHANGES_LIMIT_MAX}`);
  return reader.result({ since, limit });
}

function parseLimit(text: string): number | undefined {
  const limit = parseInteger(text);
  return limit !== undefined && limit >= 1 && limit <= CHANGES_LIMIT_MAX ? limit : undefined;
}

/** The seq in the header; an empty one says that the client has seen no event yet. */
export function parseLastEventId(
  header: string | string[] | undefined,
): number | 'invalid' | undefined {
  if (header === undefined || header === '') return undefined;
  return (typeof header === 'string' ? parseInteger(header) : undefined) ?? 'invalid';
}
