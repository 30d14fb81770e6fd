/**
 * The one registry of every error a client can see: code → status, title, sentence.
 * Runs on the main thread, holds constants only. `docs/errors.md` is checked against it by a test.
 * The body's form is RFC 9457 (Problem Details for HTTP APIs). (Over 300 lines: it is a list.)
 */

interface ProblemDefinition {
  readonly status: number;
  readonly title: string;
  /** What `detail` says when the occasion has nothing more exact to say. */
  readonly detail: string;
}

export const PROBLEMS = {
  'bad-request': {
    status: 400,
    title: 'Bad request',
    detail: 'The request is not well-formed HTTP, or its URL or a header is not valid here.',
  },
  'empty-body': {
    status: 400,
    title: 'Empty body',
    detail: 'The request needs a JSON body, but it has no body.',
  },
  'invalid-encoding': {
    status: 400,
    title: 'Invalid encoding',
    detail: 'The body is not valid UTF-8.',
  },
  'invalid-json': {
    status: 400,
    title: 'Invalid JSON',
    detail: 'The body is not valid JSON.',
  },
  'invalid-event': {
    status: 400,
    title: 'Invalid event',
    detail: 'The event breaks the rules listed in errors; nothing of it was applied.',
  },
  'invalid-batch': {
    status: 400,
    title: 'Invalid batch',
    detail: 'Some events of the batch break the rules; nothing of it was applied.',
  },
  'invalid-parameter': {
    status: 400,
    title: 'Invalid parameter',
    detail: 'A parameter of the URL is unknown or has a value that is not allowed.',
  },
  'invalid-header': {
    status: 400,
    title: 'Invalid header',
    detail: 'A header of the request has a value that is not allowed.',
  },
  'token-missing': {
    status: 401,
    title: 'Token missing',
    detail: 'The request needs a token: Authorization: Bearer, and a JSON Web Token.',
  },
  'token-invalid': {
    status: 401,
    title: 'Token invalid',
    detail: 'The token is not one that this service takes, or no longer.',
  },
  forbidden: {
    status: 403,
    title: 'Forbidden',
    detail: 'Who asks may not do this.',
  },
  'route-not-found': {
    status: 404,
    title: 'Route not found',
    detail: 'No such path exists here.',
  },
  'product-not-found': {
    status: 404,
    title: 'Product not found',
    detail: 'No event of this product has been applied, or it is delisted.',
  },
  'history-off': {
    status: 404,
    title: 'History off',
    detail: 'This service keeps no history: HISTORY is off.',
  },
  'event-not-found': {
    status: 404,
    title: 'Event not found',
    detail: 'No event has this number.',
  },
  'outcome-expired': {
    status: 404,
    title: 'Outcome expired',
    detail: 'The event is older than those whose outcome is kept.',
  },
  'dead-letter-not-found': {
    status: 404,
    title: 'Dead letter not found',
    detail: 'There is no such dead letter, or no longer.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'Method not allowed',
    detail: 'This path does not take this method; the Allow header lists those it takes.',
  },
  'read-only': {
    status: 405,
    title: 'Read-only',
    detail: 'This instance only reads (ROLE=reader); send writes to another one of its cluster.',
  },
  'not-acceptable': {
    status: 406,
    title: 'Not acceptable',
    detail: 'This path has no representation that the Accept header takes.',
  },
  'request-timeout': {
    status: 408,
    title: 'Request timeout',
    detail: 'The request did not arrive completely within the time allowed.',
  },
  'precondition-failed': {
    status: 412,
    title: 'Precondition failed',
    detail: 'The product does not meet the condition in If-Match or If-None-Match.',
  },
  'idempotency-in-progress': {
    status: 409,
    title: 'Idempotency in progress',
    detail: 'A request with this Idempotency-Key is still being taken; retry when it is over.',
  },
  'idempotency-expired': {
    status: 409,
    title: 'Idempotency expired',
    detail:
      'The batch under this Idempotency-Key was not finished, and which of its events were taken is no longer known. Compare, and send what is missing under a new key.',
  },
  'profile-in-progress': {
    status: 409,
    title: 'Profile in progress',
    detail: 'Another profile is being taken; retry when it is over.',
  },
  'sink-not-configured': {
    status: 409,
    title: 'Sink not configured',
    detail: 'The letter is of a sink that SINKS does not name.',
  },
  'cursor-expired': {
    status: 410,
    title: 'Cursor expired',
    detail: 'The cursor is from before the last start of the service; begin at the first page.',
  },
  'body-too-large': {
    status: 413,
    title: 'Body too large',
    detail: 'The body is larger than this service accepts.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'Unsupported media type',
    detail: 'The body must be of a media type that this path takes, in UTF-8, without a coding.',
  },
  'expectation-failed': {
    status: 417,
    title: 'Expectation failed',
    detail: 'The only expectation that this service supports is 100-continue.',
  },
  'idempotency-conflict': {
    status: 422,
    title: 'Idempotency conflict',
    detail: 'Another event came earlier with this key; a key belongs to one content only.',
  },
  'rate-limited': {
    status: 429,
    title: 'Rate limited',
    detail: 'The client has had what it may have in this time; retry after the time given.',
  },
  'headers-too-large': {
    status: 431,
    title: 'Headers too large',
    detail: 'The request line and headers together are larger than this service accepts.',
  },
  internal: {
    status: 500,
    title: 'Internal error',
    detail: 'The service failed to answer; quote instance when you report this.',
  },
  'event-dead': {
    status: 500,
    title: 'Event dead',
    detail: 'The event is durable, but it could not be applied.',
  },
  'issuer-unreachable': {
    status: 503,
    title: 'Issuer unreachable',
    detail: 'The keys to verify the token with can not be had at the moment.',
  },
  'queue-full': {
    status: 503,
    title: 'Queue full',
    detail: 'As many events as the service holds are in flight; retry after the time given.',
  },
  'storage-unavailable': {
    status: 503,
    title: 'Storage unavailable',
    detail: 'Events cannot be made durable at the moment; reads go on.',
  },
  stalled: {
    status: 503,
    title: 'Stalled',
    detail: 'A thread makes no progress although events wait for it.',
  },
  'not-ready': {
    status: 503,
    title: 'Not ready',
    detail: 'The service is starting; retry after the time given.',
  },
  stopping: {
    status: 503,
    title: 'Stopping',
    detail: 'The service is stopping and takes no more work.',
  },
  'not-yet-applied': {
    status: 503,
    title: 'Not yet applied',
    detail: 'The event that min_seq names was not applied in the time allowed; retry.',
  },
  'history-unavailable': {
    status: 503,
    title: 'History unavailable',
    detail: 'The history can not be read at the moment; all else goes on.',
  },
  'too-many-followers': {
    status: 503,
    title: 'Too many followers',
    detail: 'As many clients as the service allows follow the changes; retry later, or poll.',
  },
  'read-contention': {
    status: 503,
    title: 'Read contention',
    detail: 'The product was being written during every try to read it; retry.',
  },
  'store-full': {
    status: 507,
    title: 'Store full',
    detail: 'The product is new and there is no room for it; known products go on.',
  },
} as const satisfies Record<string, ProblemDefinition>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One fault of a body; `pointer` is an RFC 6901 JSON pointer into it (`''` is the whole body). */
export interface BodyFault {
  readonly pointer: string;
  readonly detail: string;
}

/**
 * - `none`: the event, or batch, was not applied and will not be.
 * - `unknown`: it, or a part of it, had been handed to a disk that failed.
 * - `partial`: of a batch, the events that the answer counts were taken and the others will not be.
 */
export type Outcome = 'none' | 'unknown' | 'partial';

/** How far a batch came. */
export interface BatchProgress {
  readonly accepted: number;
  readonly rejected: number;
  readonly duplicates: number;
  readonly first_seq: number | null;
  readonly last_seq: number | null;
}

/** One part of readiness. */
export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly state: string;
  readonly detail?: string | undefined;
}

/** What an occasion adds to the registry's entry. */
export interface ProblemExtras extends Partial<BatchProgress> {
  readonly detail?: string;
  readonly errors?: readonly BodyFault[];
  readonly outcome?: Outcome;
  readonly checks?: readonly CheckResult[];
}

export interface ProblemBody extends ProblemExtras {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: ProblemCode;
}

/** Builds the body of one problem; `requestId` becomes `instance` as `urn:request:<id>`. */
export function problemBody(
  code: ProblemCode,
  requestId: string,
  extras?: ProblemExtras,
): ProblemBody {
  const { status, title, detail } = PROBLEMS[code];
  return {
    type: `urn:product-service:problem:${code}`,
    title,
    status,
    detail,
    instance: `urn:request:${requestId}`,
    code,
    ...extras,
  };
}
