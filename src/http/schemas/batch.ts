/**
 * What `POST /api/v1/events/batch` may be asked in its URL, and what it answers. The bodies are
 * described by `batch-body.ts`. Main thread.
 */
import { type Static, Type } from '@sinclair/typebox';
import { DEAD_LISTED_MAX } from '../../apply/dead-events-search.ts';
import { BATCH_FAULTS_MAX } from '../../bulk/fault-list.ts';
import { ACK_LEVELS, type AckLevel } from '../../intake/event-intake.ts';
import { oneOf } from './one-of.ts';
import { type Parsed, QueryReader, type RawQuery } from './query-reader.ts';
import { eventHeaders, jsonResponse } from './response.ts';
import { writeHeaders } from './write-answer.ts';
import { ackParameter } from './write-query.ts';

const ON_ERROR = ['reject', 'continue'] as const;

export const batchQuery = Type.Object(
  {
    on_error: Type.Optional(
      oneOf(ON_ERROR, {
        default: 'reject',
        description: 'reject: all events or none. continue: the good ones, of any number.',
      }),
    ),
    ack: ackParameter,
  },
  { additionalProperties: false },
);

export const batchHeaders = Type.Object({
  'content-encoding': Type.Optional(
    oneOf(['gzip', 'br', 'zstd', 'identity'], { description: 'How the body is coded.' }),
  ),
  'idempotency-key': writeHeaders.properties['idempotency-key'],
});

const EXAMPLE: BatchAnswer = {
  status: 'durable',
  accepted: 2,
  rejected: 0,
  duplicates: 0,
  first_seq: 17,
  last_seq: 18,
  errors: [],
};

const FAULTY_EXAMPLE: BatchAnswer = {
  ...EXAMPLE,
  accepted: 1,
  rejected: 1,
  last_seq: 17,
  errors: [{ line: 2, pointer: '/price', detail: 'price must be a number.' }],
};

export const batchAnswers = {
  200: answer('All events are applied.', { ...EXAMPLE, status: 'applied' }),
  202: answer('All events are on disk; with ack=accepted only queued.', EXAMPLE),
  207: answer(
    'Not all: some have faults (on_error=continue) and are listed in `errors`, or could not be ' +
      'applied (ack=applied) and are listed in `dead`.',
    FAULTY_EXAMPLE,
  ),
};

function answer(description: string, example: BatchAnswer) {
  return jsonResponse(description, Type.Ref('BatchResult'), example, eventHeaders);
}

export interface BatchQuery {
  readonly onError: (typeof ON_ERROR)[number];
  /** `undefined`: the service's default. */
  readonly ack: AckLevel | undefined;
}

const seq = Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]);

export const batchResultSchema = Type.Object(
  {
    status: oneOf(ACK_LEVELS),
    accepted: Type.Integer({ description: 'Events taken now.' }),
    rejected: Type.Integer({ description: 'Events that have faults; never taken.' }),
    duplicates: Type.Integer({ description: 'Events known already, under the same key.' }),
    first_seq: seq,
    last_seq: seq,
    dead: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1 }), {
        maxItems: DEAD_LISTED_MAX,
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
      {
        maxItems: BATCH_FAULTS_MAX,
        description: 'The first faults; `rejected` counts all faulty events.',
      },
    ),
  },
  { $id: 'BatchResult', additionalProperties: false, description: 'What became of a batch.' },
);

export type BatchAnswer = Static<typeof batchResultSchema>;

export function parseBatchQuery(raw: RawQuery): Parsed<BatchQuery> {
  const reader = new QueryReader(raw, Object.keys(batchQuery.properties));
  const among =
    <T extends string>(names: readonly T[]) =>
    (text: string) =>
      names.find((name) => name === text);
  const onError = reader.once('on_error', among(ON_ERROR), 'reject or continue') ?? 'reject';
  const ack = reader.once('ack', among(ACK_LEVELS), `one of ${ACK_LEVELS.join(', ')}`);
  return reader.result({ onError, ack });
}
