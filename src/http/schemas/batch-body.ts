/**
 * The body of `POST /api/v1/events/batch` by media type, as the API's description shows it; its events
 * are `event/batch-event.ts`. Main thread, constants only.
 */
import { Type } from '@sinclair/typebox';
import { streamText } from './response.ts';

/** NDJSON was never registered: the first name is the common one, the second what it would be. */
export const NDJSON_TYPES = ['application/x-ndjson', 'application/ndjson'] as const;
export const ARRAY_TYPE = 'application/json';
export const BATCH_TYPES = [...NDJSON_TYPES, ARRAY_TYPE] as const;

const EXAMPLES = [
  { product_id: 'abc123', price: 49.99, stock: 100 },
  { product_id: 'def456', stock: 7, partial: true },
];

const ndjson = {
  ...streamText('One event a line.', 'BatchEvent'),
  examples: [EXAMPLES.map((event) => `${JSON.stringify(event)}\n`).join('')],
};

/** The body of a batch by media type. */
export const batchBody = {
  content: {
    [ARRAY_TYPE]: {
      schema: Type.Array(Type.Ref('BatchEvent'), { minItems: 1, examples: [EXAMPLES] }),
    },
    ...Object.fromEntries(NDJSON_TYPES.map((type) => [type, { schema: ndjson }])),
  },
};
