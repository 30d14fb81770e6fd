/**
 * Successful answers as the OpenAPI document shows them: a body with an example, and the headers
 * that come with it. Main thread, constants only.
 */
import { type TSchema, Type } from '@sinclair/typebox';
import { EVENTS_PATH } from '../answers/respond.ts';

export type ResponseHeaders = Readonly<Record<string, TSchema>>;

export interface DescribedResponse {
  readonly description: string;
  readonly headers?: ResponseHeaders;
  readonly content: Readonly<Record<string, { readonly schema: TSchema; example?: unknown }>>;
}

/** The answer to a write carries these; not while it is only accepted and has no number yet. */
export const eventHeaders: ResponseHeaders = {
  location: Type.String({
    pattern: `^${EVENTS_PATH}[1-9][0-9]*$`,
    description: 'Where the outcome of the event is, of a batch that of its last one.',
  }),
  'idempotency-replayed': Type.Literal('true', {
    description: 'The answer is that of the first time; nothing was written again.',
  }),
};

/** The version of a product. */
export const etagHeader: ResponseHeaders = {
  etag: Type.String({
    pattern: '^"[1-9][0-9]*"$',
    description: 'The seq of the event that last changed the product.',
  }),
};

export const retryAfterHeader: ResponseHeaders = {
  'retry-after': Type.Integer({
    minimum: 1,
    description: 'Seconds after which a retry is worth it, where that is known.',
  }),
};

/** Every answer of a limited route has these; they are described with its 429. */
export const rateLimitHeaders: ResponseHeaders = {
  'ratelimit-policy': Type.String({
    description:
      'What a client may have: `q` requests (or events of batches) in `w` seconds (draft-ietf-httpapi-ratelimit-headers-11). Every answer has it where there is a limit.',
  }),
  ratelimit: Type.String({
    description: 'What is left of it: `r` now, and in `t` seconds all of it, or one more.',
  }),
};

/** RFC 9110, section 10.2.1. */
export const allowHeader: ResponseHeaders = {
  allow: Type.String({ description: 'The methods that the path takes here; may be empty.' }),
};

/** RFC 6750, section 3. */
export const challengeHeader: ResponseHeaders = {
  'www-authenticate': Type.String({
    pattern: '^Bearer ',
    description: 'What is wrong with the token, or that there is none.',
  }),
};

/** Long answers are compressed for who takes that. */
export const encodingHeader: ResponseHeaders = {
  'content-encoding': Type.String({
    enum: ['zstd', 'br', 'gzip'],
    description: 'Of a long answer, as Accept-Encoding takes it.',
  }),
};

/** A JSON answer of the form `schema`. */
export function jsonResponse(
  description: string,
  schema: TSchema,
  example: unknown,
  headers?: ResponseHeaders,
): DescribedResponse {
  return {
    description,
    ...(headers === undefined ? {} : { headers }),
    content: { 'application/json': { schema, example } },
  };
}

/**
 * The text of a stream of JSON objects, each of the form of one of the shared schemas `itemRefs`. OpenAPI 3.1
 * has no word for it, so the schema is that of a text, and `x-item-schema` names the objects' own.
 */
export function streamText(description: string, ...itemRefs: readonly string[]): TSchema {
  const items = itemRefs.map((ref) => Type.Ref(ref));
  return Type.String({
    description,
    'x-item-schema': items.length === 1 ? items[0] : Type.Union(items),
  });
}
