/**
 * Lets pages of listed origins use the service from a browser (CORS, the fetch standard); stands before
 * everything else, so that refusals, streams and whatever else is answered carry its headers, too. Only there
 * if origins are listed. Main thread.
 *
 * An origin is listed exactly or not at all: no star, no suffixes, and no credentials of the browser's own (cookies,
 * client certificates), for the service knows none. Tokens go in Authorization, which a page sets itself.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { addHeader } from './service-response.ts';

const METHODS = 'GET, HEAD, POST, PATCH, DELETE';

const REQUEST_HEADERS =
  'accept, authorization, content-encoding, content-type, idempotency-key, if-match, if-none-match, ' +
  'last-event-id, traceparent, tracestate, x-request-id';

/** Beside those that every page may read. */
const RESPONSE_HEADERS =
  'allow, etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, ' +
  'www-authenticate, x-request-id, x-resume-seq';

/** How long a browser may remember what a preflight said. */
const PREFLIGHT_SECONDS = '600';

/** Answers preflights of `origins`, and has all answers to them say that they may be read. */
export function allowOrigins(next: RequestListener, origins: readonly string[]): RequestListener {
  const listed = new Set(origins);
  return (request: IncomingMessage, response: ServerResponse) => {
    // Caches must not give one origin what was answered to another.
    addHeader(response, 'vary', 'origin');
    const { origin } = request.headers;
    if (origin === undefined || !listed.has(origin)) {
      next(request, response);
      return;
    }
    addHeader(response, 'access-control-allow-origin', origin);
    if (isPreflight(request)) {
      addHeader(response, 'access-control-allow-methods', METHODS);
      addHeader(response, 'access-control-allow-headers', REQUEST_HEADERS);
      addHeader(response, 'access-control-max-age', PREFLIGHT_SECONDS);
      response.writeHead(204).end();
      return;
    }
    addHeader(response, 'access-control-expose-headers', RESPONSE_HEADERS);
    next(request, response);
  };
}

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
}
