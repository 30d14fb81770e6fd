/**
 * What a read of products may ask for in its URL: the schemas that describe it, and the functions
 * that read it. Main thread.
 */
import { Type } from '@sinclair/typebox';
import { formatDuration, parseDuration, parseInteger } from '../../config/quantity.ts';
import type { PriorPriceRule } from '../../history/prior-price.ts';
import {
  priorPriceParameters,
  readPriorPriceRule,
  readTime,
  TIME_RULE,
  timeParameter,
} from './history-query.ts';
import { type Parsed, QueryReader, type RawQuery } from './query-reader.ts';

export const WAIT_MS_DEFAULT = 500;
export const WAIT_MS_MAX = 30_000;
export const PAGE_LIMIT_DEFAULT = 100;
export const PAGE_LIMIT_MAX = 1000;
export const IDS_MAX = 1000;

const waitDefault = formatDuration(WAIT_MS_DEFAULT);
const waitMax = formatDuration(WAIT_MS_MAX);

const FULL = 'Adds seq, price_at, stock_at and updated_at.';

/** Read your writes. */
export const waitParameters = {
  min_seq: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        'Read your writes: waits until the event with this seq, and all before it, are applied.',
    }),
  ),
  wait: Type.Optional(
    Type.String({
      pattern: '^(0|[1-9][0-9]*)(ms|s|m|h)$',
      default: waitDefault,
      examples: ['500ms', '2s'],
      description: `How long min_seq may wait, up to ${waitMax}; then the answer is 503.`,
    }),
  ),
};

/** `GET /api/v1/products/{id}` */
export const productQuery = Type.Object(
  {
    view: Type.Optional(Type.Literal('full', { description: FULL })),
    at: timeParameter('The product as it was then, by event time, from its history.'),
    ...waitParameters,
  },
  { additionalProperties: false },
);

export const productHeaders = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({ description: 'An ETag that is known; 304 while it is the version.' }),
  ),
  'if-match': Type.Optional(
    Type.String({ description: 'The ETag that the answer must have; 412 when it is another.' }),
  ),
});

/** `GET /api/v1/products` */
export const productsQuery = Type.Object(
  {
    id: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        maxItems: IDS_MAX,
        description: 'These products instead of a page; given once for each id.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: PAGE_LIMIT_MAX,
        default: PAGE_LIMIT_DEFAULT,
        description: 'Products on a page at the most.',
      }),
    ),
    cursor: Type.Optional(
      Type.String({ description: 'The next of the page before; without it, the first page.' }),
    ),
    view: Type.Optional(
      Type.Union([Type.Literal('full'), Type.Literal('prior-price')], {
        description: `full: ${FULL} prior-price: PriorPrice in place of Product, from the history.`,
      }),
    ),
    ...priorPriceParameters,
    ...waitParameters,
  },
  { additionalProperties: false },
);

/** What every read may ask for. */
export interface WaitQuery {
  /** Events up to it must be applied; 0 = whatever is there. */
  readonly minSeq: number;
  readonly waitMs: number;
}

export interface ProductQuery extends WaitQuery {
  readonly isFull: boolean;
  /** As of which event time; `undefined` = now. */
  readonly atMs: number | undefined;
}

export interface ProductsQuery extends WaitQuery {
  readonly isFull: boolean;
  /** Prior prices instead of products. */
  readonly prior: PriorPriceRule | undefined;
  /** As they were given; empty where a page or all products are asked for. */
  readonly ids: readonly string[];
  readonly limit: number | undefined;
  readonly cursor: string | undefined;
}

const PRODUCT_NAMES = Object.keys(productQuery.properties);
const PRODUCTS_NAMES = Object.keys(productsQuery.properties);

export function parseProductQuery(raw: RawQuery): Parsed<ProductQuery> {
  const reader = new QueryReader(raw, PRODUCT_NAMES);
  const view = reader.once('view', (text) => (text === 'full' ? text : undefined), 'full');
  const atMs = reader.once('at', readTime, TIME_RULE);
  if (view !== undefined && atMs !== undefined)
    reader.fail('view is of the present state; at has one of its own.');
  return reader.result({ isFull: view !== undefined, atMs, ...readWait(reader) });
}

export function parseProductsQuery(raw: RawQuery): Parsed<ProductsQuery> {
  const reader = new QueryReader(raw, PRODUCTS_NAMES);
  const ids = reader.all('id');
  if (ids.length > IDS_MAX) reader.fail(`id must not be given more than ${IDS_MAX} times.`);
  const limit = reader.once(
    'limit',
    (text) => between(1, PAGE_LIMIT_MAX, parseInteger(text)),
    `an integer from 1 to ${PAGE_LIMIT_MAX}`,
  );
  const cursor = reader.once('cursor', (text) => text, 'the next of a page');
  if (ids.length > 0 && (limit !== undefined || cursor !== undefined)) {
    reader.fail('id names products and limit and cursor ask for a page; give one or the other.');
  }
  const view = reader.once(
    'view',
    (text) => (text === 'full' || text === 'prior-price' ? text : undefined),
    'full or prior-price',
  );
  const rule = readPriorPriceRule(reader);
  const prior = view === 'prior-price' ? rule : undefined;
  if (prior === undefined && (reader.has('days') || reader.has('gradual'))) {
    reader.fail('days and gradual go with view=prior-price only.');
  }
  return reader.result({ ids, limit, cursor, isFull: view === 'full', prior, ...readWait(reader) });
}

export function readWait(reader: QueryReader): WaitQuery {
  const minSeq = reader.once(
    'min_seq',
    parseInteger,
    `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`,
  );
  const waitMs = reader.once(
    'wait',
    (text) => between(0, WAIT_MS_MAX, parseDuration(text)),
    `a duration such as ${waitDefault}, up to ${waitMax}`,
  );
  if (reader.has('wait') && !reader.has('min_seq')) reader.fail('wait goes with min_seq only.');
  return { minSeq: minSeq ?? 0, waitMs: waitMs ?? WAIT_MS_DEFAULT };
}

function between(min: number, max: number, value: number | undefined): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}
