/**
 * Turns whatever Fastify reports into a problem from the registry. Main thread.
 * Only faults of the client are described in the answer; the inside of a 5xx goes to the log alone.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { BodyRefused } from '../../errors/body-refused.ts';
import type { ProblemCode } from '../../errors/problems.ts';
import { isBodyUnasked } from '../connection/expect-continue.ts';
import type { RouteGuard } from '../guards/route-guard.ts';
import { requestFields } from './request-fields.ts';
import { sendProblem } from './respond.ts';

export type ErrorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;

/** The handler for `setErrorHandler` and for `frameworkErrors` (URLs that can't be decoded). */
export function createErrorHandler(logger: Logger, guard: RouteGuard): ErrorHandler {
  return (error, request, reply) => {
    keepConnection(reply);
    const code = codeOf(error);
    if (request.is404 && code !== 'internal' && fastifyCodeOf(error) !== 'FST_ERR_BAD_URL') {
      // Fastify refuses some bodies before it asks who they are for.
      guard.answer(request, reply);
      return;
    }
    if (code === 'internal') {
      const { method } = request;
      logger.error({ err: error, ...requestFields(request), method }, 'request failed');
      sendProblem(reply, 'internal');
      return;
    }
    // Nothing else has counted it: no route has such a URL.
    if (fastifyCodeOf(error) === 'FST_ERR_BAD_URL' && guard.refuses(request, reply)) return;
    const detail = detailOf(error, request);
    sendProblem(reply, code, detail === undefined ? undefined : { detail });
  };
}

/**
 * Fastify closes the connection on every refused body. Node itself reads the rest of a body away
 * (within the request timeout), whereas closing would reset a client that is still sending.
 * A close that the drain has set, on the raw response, stays, and that of a body nobody asked for.
 */
function keepConnection(reply: FastifyReply): void {
  if (isBodyUnasked(reply.request.raw)) return;
  if (reply.raw.getHeader('connection') === undefined) reply.removeHeader('connection');
}

function codeOf(error: unknown): ProblemCode {
  if (error instanceof BodyRefused) return error.code;
  switch (fastifyCodeOf(error)) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return 'unsupported-media-type';
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return 'body-too-large';
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
    case 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE': // the method QUERY, which no route here takes
    case 'ECONNRESET': // the client went away while its body was read; nobody gets this answer
      return 'bad-request';
    default:
      return 'internal';
  }
}

/** What the occasion can say better than the registry. */
function detailOf(error: unknown, request: FastifyRequest): string | undefined {
  if (error instanceof BodyRefused) return error.message;
  switch (fastifyCodeOf(error)) {
    case 'FST_ERR_BAD_URL':
      return 'The path is not valid percent-encoded UTF-8.';
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE': {
      const body = request.routeOptions.config.policy?.body;
      if (typeof body !== 'object' || !('types' in body)) return undefined;
      const types = body.types.join(' or ');
      return `The body must be ${types}, and its Content-Type must say so.`;
    }
    default:
      return undefined;
  }
}

function fastifyCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
