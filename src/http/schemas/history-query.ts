/**
 * What questions to the history may ask for in their URL: the schemas that describe it, and the functions
 * that read it. Main thread.
 */
import { Type } from '@sinclair/typebox';
import { parseInteger } from '../../config/quantity.ts';
import { eventTimeMs, isEventTime } from '../../event/event-time.ts';
import { FIELDS, type HistoryField } from '../../history/mark.ts';
import type { PriorPriceRule } from '../../history/prior-price.ts';
import type { QueryReader } from './query-reader.ts';

const DAYS_DEFAULT = 30;
const DAYS_MAX = 3650;
export const HISTORY_LIMIT_DEFAULT = 1000;
export const HISTORY_LIMIT_MAX = 10_000;

export const TIME_RULE =
  'a time like 2026-01-31T12:00:00Z (a + of its zone is %2B in a URL) or milliseconds since 1970';

const MS_TEXT = /^-?[0-9]{1,15}$/;

export function timeParameter(description: string) {
  return Type.Optional(
    Type.String({ description, examples: ['2026-01-31T12:00:00Z', '1769860800000'] }),
  );
}

/** Reads RFC 3339 with a zone, or milliseconds; `undefined` for any other text. */
export function readTime(text: string): number | undefined {
  if (MS_TEXT.test(text)) return Number(text) + 0;
  return isEventTime(text) ? eventTimeMs(text) : undefined;
}

export const priorPriceParameters = {
  days: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: DAYS_MAX,
      default: DAYS_DEFAULT,
      description:
        'How many days before the reduction count (of 24 hours each); Article 6a asks for 30 at least.',
    }),
  ),
  gradual: Type.Optional(
    Type.Literal('first', {
      description:
        'Reductions that follow each other without a rise count as one, from the first: the prior price is ' +
        'the one in force just before that, where a member state allows it (Article 6a(5)).',
    }),
  ),
};

export function readPriorPriceRule(reader: QueryReader): PriorPriceRule {
  const days = reader.once(
    'days',
    (text) => between(1, DAYS_MAX, parseInteger(text)),
    `an integer from 1 to ${DAYS_MAX}`,
  );
  const gradual = reader.once('gradual', (text) => text === 'first' || undefined, 'first');
  return { days: days ?? DAYS_DEFAULT, gradual: gradual ?? false };
}

export const historyParameters = {
  field: Type.Optional(
    Type.Union(
      FIELDS.map((field) => Type.Literal(field)),
      {
        default: 'price',
        description: 'Whose history.',
      },
    ),
  ),
  from: timeParameter(
    'Begins with the value that was in force then; with the first of all without it.',
  ),
  to: timeParameter('Ends before this time.'),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: HISTORY_LIMIT_MAX,
      default: HISTORY_LIMIT_DEFAULT,
      description: 'Entries at the most.',
    }),
  ),
  cursor: Type.Optional(
    Type.String({ description: 'The next of the page before, in place of from.' }),
  ),
};

export interface HistoryQuery {
  readonly field: HistoryField;
  readonly fromMs: number;
  readonly toMs: number;
  readonly limit: number;
  readonly cursor: string | undefined;
}

export function readHistoryQuery(reader: QueryReader): HistoryQuery {
  const field = reader.once(
    'field',
    (text) => FIELDS.find((each) => each === text),
    FIELDS.join(' or '),
  );
  const fromMs = reader.once('from', readTime, TIME_RULE);
  const toMs = reader.once('to', readTime, TIME_RULE);
  const limit = reader.once(
    'limit',
    (text) => between(1, HISTORY_LIMIT_MAX, parseInteger(text)),
    `an integer from 1 to ${HISTORY_LIMIT_MAX}`,
  );
  const cursor = reader.once('cursor', (text) => text, 'the next of a page');
  if (fromMs !== undefined && cursor !== undefined) {
    reader.fail('cursor goes on where a page ended; from begins anew. Give one or the other.');
  }
  return {
    field: field ?? 'price',
    fromMs: fromMs ?? Number.NEGATIVE_INFINITY,
    toMs: toMs ?? Number.POSITIVE_INFINITY,
    limit: limit ?? HISTORY_LIMIT_DEFAULT,
    cursor,
  };
}

function between(min: number, max: number, value: number | undefined): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}
