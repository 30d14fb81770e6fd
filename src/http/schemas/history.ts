/** What the history answers with: the schemas that describe it. `history-json.ts` writes it. */
import { type TSchema, Type } from '@sinclair/typebox';
import type { ResponseHeaders } from './response.ts';

const time = (description: string) => Type.String({ format: 'date-time', description });
const timeOrNull = (description: string) =>
  Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description });
const valueOrNull = (description: string) =>
  Type.Union([Type.Number(), Type.Null()], { description });

const historySeq = Type.Integer({
  minimum: 0,
  description: 'The history has everything up to this event. min_seq waits for one.',
});
const wholeFrom = timeOrNull(
  'Since when nothing is missing, because older values are not kept or HISTORY was off; null = since ever.',
);
const complete = Type.Boolean({
  description:
    'False where the history does not reach back far enough, or has not yet come to the present state.',
});

export const historyEntrySchema = Type.Object(
  {
    at: time('Since when, by event time.'),
    value: valueOrNull('null: deleted.'),
    seq: Type.Integer({ minimum: 1, description: 'The event that said so.' }),
  },
  { $id: 'HistoryEntry', additionalProperties: false, description: 'One value of a field.' },
);

export const historyPage = Type.Object(
  {
    id: Type.String({ minLength: 1 }),
    field: Type.String({ enum: ['price', 'stock'] }),
    entries: Type.Array(Type.Ref('HistoryEntry'), {
      description: 'Oldest first; a value that was said again is one entry.',
    }),
    next: Type.Union([Type.String(), Type.Null()], {
      description: 'The cursor of the next page; null after the last.',
    }),
    whole_from: wholeFrom,
    history_seq: historySeq,
  },
  { additionalProperties: false },
);

/** What stands in the body of a JSON page is here beside lines and tables. */
export const historyHeaders: ResponseHeaders = {
  'x-next-cursor': Type.String({ description: 'Of a page that is not the last; not with JSON.' }),
  'x-whole-from': Type.String({
    format: 'date-time',
    description: 'As whole_from; not with JSON.',
  }),
  'x-history-seq': Type.Integer({ minimum: 0, description: 'As history_seq; not with JSON.' }),
};

export const pastProductSchema = Type.Object(
  {
    id: Type.String({ minLength: 1 }),
    at: time('As of when.'),
    price: valueOrNull('null while absent.'),
    stock: valueOrNull('null while absent.'),
    price_at: timeOrNull('The event time of the last event up to then that said the price.'),
    stock_at: timeOrNull('The same of the stock.'),
    whole_from: wholeFrom,
    complete,
    history_seq: historySeq,
  },
  { $id: 'PastProduct', additionalProperties: false, description: 'A product as it once was.' },
);

export const priorPriceSchema = Type.Object(
  {
    id: Type.String({ minLength: 1 }),
    price: valueOrNull('The present price; null while absent.'),
    reduced: Type.Boolean({ description: 'The present price is below the one before it.' }),
    reduced_at: timeOrNull('When the reduction began. This and what follows is null without one.'),
    prior_price: valueOrNull('The lowest price in the window: what Article 6a asks to be shown.'),
    prior_price_at: timeOrNull('Since when that was the price.'),
    window: Type.Union([
      Type.Object(
        { from: time('days before the reduction.'), to: time('When the reduction began.') },
        { additionalProperties: false },
      ),
      Type.Null(),
    ]),
    younger: Type.Boolean({
      description: 'The product had no price before the window: see Article 6a(4).',
    }),
    complete,
    history_seq: historySeq,
  },
  {
    $id: 'PriorPrice',
    additionalProperties: false,
    description: 'The prior price of a reduction (Directive 98/6/EC, Article 6a).',
  },
);

export const PRIOR_PRICE_EXAMPLE = {
  id: 'abc123',
  price: 79.99,
  reduced: true,
  reduced_at: '2026-11-20T00:00:00.000Z',
  prior_price: 94.99,
  prior_price_at: '2026-11-02T08:00:00.000Z',
  window: { from: '2026-10-21T00:00:00.000Z', to: '2026-11-20T00:00:00.000Z' },
  younger: false,
  complete: true,
  history_seq: 4711,
} as const;

export const HISTORY_SCHEMAS: readonly TSchema[] = [
  historyEntrySchema,
  pastProductSchema,
  priorPriceSchema,
];
