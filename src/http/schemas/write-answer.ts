/**
 * What the routes that write one event have in common for their description: headers and answers.
 * Main thread; the answers are written by hand (pending-ack.ts), the headers read by hand.
 */
import { Type } from '@sinclair/typebox';
import { etagHeader, eventHeaders, jsonResponse } from './response.ts';

const CLOSED = { additionalProperties: false };

export const writeHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      description:
        '1–255 visible ASCII characters, bare or in quotes. The same key with the same content is ' +
        'answered as the first time, with Idempotency-Replayed: true; with other content, 422.',
    }),
  ),
  'if-match': Type.Optional(
    Type.String({
      description:
        'The ETag that the product must have when the event is applied, or *: that it is listed. ' +
        'Implies ack=applied; 412 when it does not hold. A weak tag counts as the strong one.',
    }),
  ),
  'if-none-match': Type.Optional(
    Type.String({
      description: 'Only `*`: that the product is not listed. Implies ack=applied; 412 when it is.',
      examples: ['*'],
    }),
  ),
});

const status = (level: string) => Type.Literal(level);
const product_id = Type.String({ description: 'The product.' });
const seq = Type.Integer({ minimum: 1, description: 'The number of the event.' });

const durable = Type.Object(
  {
    status: status('durable'),
    product_id,
    seq,
    ack_raised_by: Type.Optional(
      Type.Union([Type.Literal('event_id'), Type.Literal('idempotency-key')], {
        description:
          'Only where ack=accepted was asked for: the key because of which it is durable. Whether ' +
          'an event with a key is new is not known before.',
      }),
    ),
  },
  CLOSED,
);
const accepted = Type.Object({ status: status('accepted'), product_id }, CLOSED);
const applied = Type.Object(
  {
    status: status('applied'),
    product_id,
    seq,
    outcome: Type.Optional(
      Type.Union([Type.Literal('stale'), Type.Literal('expired')], {
        description:
          'Only where the event is not known to have changed the product: `stale`, it is older ' +
          'than what stood; `expired`, a repetition of an event whose outcome is no longer kept.',
      }),
    ),
  },
  CLOSED,
);

export const writeAnswers = {
  200: jsonResponse(
    'The appliers have passed the event: reads show it. ETag where it changed the product.',
    applied,
    { status: 'applied', product_id: 'abc123', seq: 17 },
    { ...eventHeaders, ...etagHeader },
  ),
  202: jsonResponse(
    'The event is on disk; with ack=accepted only queued, and then without seq and Location.',
    Type.Union([durable, accepted]),
    { status: 'durable', product_id: 'abc123', seq: 17 },
    eventHeaders,
  ),
};

/** The answer of `GET /api/v1/events/{seq}`. */
export const eventOutcome = Type.Object(
  {
    seq,
    status: Type.Union(
      ['durable', 'applied', 'stale', 'refused', 'dead'].map((name) => Type.Literal(name)),
      {
        description:
          '`durable`: on disk, not yet applied. `applied`: it set price, stock or both. `stale`: ' +
          'older in event time than what stood. `refused`: its condition did not hold. `dead`: ' +
          'applying it killed its worker twice, so it is skipped.',
      },
    ),
  },
  CLOSED,
);
