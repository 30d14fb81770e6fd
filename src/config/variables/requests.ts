/** Variables of what a request may be, and how long it may take. Pure data, any thread. */
import { bytes, duration, HOUR_MS, integer, MB } from '../variable.ts';

export const REQUESTS = {
  bodyBytesMax: bytes({
    env: 'BODY_LIMIT',
    defaultText: '1MB',
    minimum: 128,
    maximum: 64 * MB,
    description: 'Largest request body; a larger one is answered 413',
  }),
  batchBytesMax: bytes({
    env: 'BATCH_LIMIT',
    defaultText: '16MB',
    minimum: 128,
    maximum: 256 * MB,
    description:
      'Largest batch that is taken whole or not at all, decoded; it may take up to four times that in memory while it is validated. Batches with on_error=continue may be of any length',
  }),
  batchesMax: integer({
    env: 'BATCH_CONCURRENCY',
    defaultText: '8',
    minimum: 1,
    maximum: 1000,
    description: 'Batches under way at a time; one more is answered 503 with Retry-After',
  }),
  headersTimeoutMs: duration({
    env: 'HEADERS_TIMEOUT',
    defaultText: '5s',
    minimum: 100,
    maximum: HOUR_MS,
    description: 'Time a client has to send the headers of a request; at most REQUEST_TIMEOUT',
  }),
  requestTimeoutMs: duration({
    env: 'REQUEST_TIMEOUT',
    defaultText: '10s',
    minimum: 100,
    maximum: HOUR_MS,
    description: 'Time a client has to send a whole request',
  }),
  answerTimeoutMs: duration({
    env: 'ANSWER_TIMEOUT',
    defaultText: '30s',
    minimum: 100,
    maximum: HOUR_MS,
    description:
      'How long a client may take nothing of an answer that waits for it; each kilobyte that it takes buys a second more, up to this',
  }),
  // The side that closes an idle connection first must be the load balancer: if it is the service,
  // a request on its way meets a closed socket. Balancers commonly close after 60 s (nginx, AWS).
  keepAliveTimeoutMs: duration({
    env: 'KEEP_ALIVE_TIMEOUT',
    defaultText: '65s',
    minimum: 100,
    maximum: HOUR_MS,
    description:
      'How long an idle connection is kept; longer than the 60s after which load balancers commonly drop theirs, so that no request meets a closing socket',
  }),
  httpConnectionsMax: integer({
    env: 'HTTP_MAX_CONNECTIONS',
    defaultText: '10000',
    minimum: 1,
    maximum: 1_000_000,
    description: 'Open connections over HTTP; one more is closed at once',
  }),
};
