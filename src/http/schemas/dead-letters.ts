/** The dead letters as the API shows them, and what a list of them may be asked for. Main thread. */
import { Type } from '@sinclair/typebox';
import { parseInteger } from '../../config/quantity.ts';
import { timeText } from '../../time/microseconds.ts';
import type { LetterView, RedriveEnd } from '../seams/dead-letters.ts';
import { type Parsed, QueryReader, type RawQuery } from './query-reader.ts';

export const LETTERS_LIMIT_DEFAULT = 100;
export const LETTERS_LIMIT_MAX = 1000;

const time = (description: string) => Type.String({ format: 'date-time', description });

export const letterSchema = Type.Object(
  {
    id: Type.Integer({ minimum: 1, description: 'Of this letter.' }),
    source: Type.String({
      description:
        'The sink that refused a row (`sqlite`, `postgres-2` …), or `applier`: an event that was set aside.',
    }),
    product_id: Type.String(),
    seq: Type.Integer({
      minimum: 1,
      description: 'Of the state that was refused, or of the event.',
    }),
    content: Type.Object({}, { additionalProperties: true, description: 'The row, or the event.' }),
    code: Type.String({ description: "The database's own code, or `dead-event`." }),
    reason: Type.String({ description: 'In its own words.' }),
    first_at: time('When it was refused first.'),
    last_at: time('When it was refused last.'),
    times: Type.Integer({ minimum: 1, description: 'How often it was refused.' }),
  },
  { additionalProperties: false },
);

export const letterPage = Type.Object(
  {
    letters: Type.Array(letterSchema),
    next: Type.Union([Type.String(), Type.Null()], {
      description: 'The cursor of the next page; null on the last one.',
    }),
  },
  { additionalProperties: false },
);

export const redriveAnswer = Type.Object(
  {
    status: Type.String({
      enum: ['written', 'refused', 'queued', 'sent'],
      description:
        '`written`: the sink has the present state, and the letter is settled. `refused`: it refuses it still. `queued`: the sink can not be reached; it is written when it can. `sent`: the event was sent again, and the letter is gone.',
    }),
    seq: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Of an event that was sent again.' }),
    ),
  },
  { additionalProperties: false },
);

export const lettersQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LETTERS_LIMIT_MAX,
        default: LETTERS_LIMIT_DEFAULT,
        description: 'Letters on a page at the most.',
      }),
    ),
    cursor: Type.Optional(Type.String({ description: 'The next of the page before.' })),
    source: Type.Optional(Type.String({ description: 'Only of this sink, or of `applier`.' })),
    product_id: Type.Optional(Type.String({ description: 'Only of this product.' })),
  },
  { additionalProperties: false },
);

export interface LettersQuery {
  readonly limit: number;
  readonly after: number;
  readonly source: string | undefined;
  readonly productId: string | undefined;
}

export function parseLettersQuery(raw: RawQuery): Parsed<LettersQuery> {
  const reader = new QueryReader(raw, Object.keys(lettersQuery.properties));
  const limit = reader.once(
    'limit',
    (text) => {
      const value = parseInteger(text);
      return value !== undefined && value >= 1 && value <= LETTERS_LIMIT_MAX ? value : undefined;
    },
    `an integer from 1 to ${LETTERS_LIMIT_MAX}`,
  );
  const after = reader.once('cursor', parseInteger, 'the next of a page');
  const source = reader.once('source', (text) => text, 'a name');
  const productId = reader.once('product_id', (text) => text, 'an id');
  return reader.result({
    limit: limit ?? LETTERS_LIMIT_DEFAULT,
    after: after ?? 0,
    source,
    productId,
  });
}

export function pageJson(letters: readonly LetterView[], limit: number): string {
  const last = letters.at(-1);
  const next = letters.length < limit || last === undefined ? null : String(last.id);
  return JSON.stringify({ letters: letters.map(letterOf), next });
}

function letterOf(letter: LetterView): object {
  const { id, source, productId, seq, content, code, reason, firstMs, lastMs, times } = letter;
  return {
    id,
    source,
    product_id: productId,
    seq,
    content: JSON.parse(content),
    code,
    reason,
    first_at: timeText(firstMs),
    last_at: timeText(lastMs),
    times,
  };
}

export function redriveJson(end: RedriveEnd): string {
  return JSON.stringify(
    end.status === 'sent' ? { status: end.status, seq: end.seq } : { status: end.status },
  );
}
