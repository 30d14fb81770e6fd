/**
 * Names for requests: the client's own (`X-Request-Id`) where it is sane, else one that is unique over
 * restarts: a random prefix per app and a counter. Main thread. Each is answered in `X-Request-Id`, and
 * appears as `instance` in problems and as `reqId` in the log.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export const REQUEST_ID_HEADER = 'x-request-id';
/** Safe as they are in a URN, a header and a line of the log. Two of the header come joined by a comma. */
const SANE = /^[\w.~:@/+=-]{1,128}$/;

/** Gives the id of a request, or makes one for what never became a request. */
export type RequestIds = (request?: { readonly headers: IncomingHttpHeaders }) => string;

/** Makes a generator of ids like `3f9c2ab14d-1z`. */
export function createRequestIds(): RequestIds {
  const prefix = `${randomBytes(5).toString('hex')}-`;
  let count = 0;
  return (request) => {
    const given = request?.headers[REQUEST_ID_HEADER];
    if (typeof given === 'string' && SANE.test(given)) return given;
    return prefix + (++count).toString(36);
  };
}
