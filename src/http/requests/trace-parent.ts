/**
 * The trace that a request belongs to, by its `traceparent` header (W3C Trace Context), for lines of the
 * log. Main thread. Two of the header come joined by a comma, which is none, as the W3C asks for.
 */
import type { IncomingHttpHeaders } from 'node:http';

/** Version 00 ends behind the flags; later ones may go on. */
const TRACE_PARENT =
  /^(?:00-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$|(?!00|ff)[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}(?:-|$))/;
const TRACE_ID_AT = 3;
const TRACE_ID_END = 35;
const NO_TRACE_ID = '0'.repeat(32);

/** 32 hexadecimal digits, or `undefined` where there is no header or it is not valid. */
export function traceIdOf({ traceparent }: IncomingHttpHeaders): string | undefined {
  if (typeof traceparent !== 'string' || !TRACE_PARENT.test(traceparent)) return undefined;
  const id = traceparent.slice(TRACE_ID_AT, TRACE_ID_END);
  return id === NO_TRACE_ID ? undefined : id;
}
