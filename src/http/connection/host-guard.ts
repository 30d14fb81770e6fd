/**
 * Refuses requests whose Host is missing, and those with two of a header that can be there only once.
 * Main thread; stands before Fastify, where it costs a fifth of what a hook does.
 *
 * Host: RFC 9112, section 3.2. Node's own check is off (`server.ts`), because it lets two pass and
 * answers without a body. Content-Type, Authorization: no lists (RFC 9110, sections 8.3 and 11.6.2),
 * and of two Node shows the first alone, where what stands before this service may go by the other.
 *
 * The others are seen elsewhere. Node refuses two Content-Length. It joins two Idempotency-Key, or
 * Last-Event-ID, by a comma and a blank, which neither can hold (idempotency-key.ts, routes/changes).
 * If-Match, If-None-Match, Accept and Content-Encoding are lists, which may come in many lines. For two
 * traceparent the W3C asks to go on as without one, which joined ones are (requests/trace-parent.ts).
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { EarlyAnswers } from './early-answers.ts';

/** By the length of the name, as it is mostly written. */
const SINGLE: readonly (readonly [lower: string, usual: string] | undefined)[] = byLength([
  ['host', 'Host'],
  ['content-type', 'Content-Type'],
  ['authorization', 'Authorization'],
]);

/** Answers 400 bad-request itself, or hands the request on to `next`. */
export function guardHost(next: RequestListener, answers: EarlyAnswers): RequestListener {
  return (request: IncomingMessage, response: ServerResponse) => {
    const detail = faultIn(request);
    if (detail === undefined) next(request, response);
    else answers.answer(response, 'bad-request', { detail });
  };
}

function faultIn({ rawHeaders, httpVersion }: IncomingMessage): string | undefined {
  /** A bit for the length of each name seen. */
  let seen = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    const single = SINGLE[name.length];
    if (single === undefined) continue;
    const [lower, usual] = single;
    if (name !== usual && name !== lower && name.toLowerCase() !== lower) continue;
    const bit = 1 << name.length;
    if ((seen & bit) !== 0) return `The ${usual} header was sent more than once.`;
    seen |= bit;
  }
  const hasHost = (seen & (1 << 'host'.length)) !== 0;
  return hasHost || httpVersion === '1.0' ? undefined : 'The Host header is missing.';
}

function byLength<T extends readonly [string, string]>(names: readonly T[]): (T | undefined)[] {
  const table: (T | undefined)[] = [];
  for (const name of names) table[name[0].length] = name;
  return Array.from(table);
}
