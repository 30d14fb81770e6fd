/**
 * The response that Node makes for each request, with what its count needs: it knows when it began,
 * and is counted when its end is handed to the system. Main thread.
 *
 * A listener for `finish` on each response, or a hook of Fastify's, costs several times as much.
 */
import type { IncomingMessage, ServerResponse as NodeResponse } from 'node:http';
import type { ProblemCode } from '../../errors/problems.ts';
import { Http2Response } from '../connection/http2-response.ts';
import { ServiceResponse } from '../connection/service-response.ts';
import { type HttpMeter, type MeteredSocket, UNROUTED, type Unanswered } from './http-meter.ts';

/** Any response; one that is not metered ignores what is noted. */
interface Noted {
  meteredRoute?: number;
  meteredProblem?: ProblemCode | undefined;
}

const END = ServiceResponse.prototype.end as (
  this: NodeResponse,
  chunk?: unknown,
  encoding?: unknown,
  callback?: unknown,
) => NodeResponse;

/** The request came for the route with this number; the first who says so is right. */
export function noteRoute(response: NodeResponse & Noted, route: number): void {
  if (response.meteredRoute === UNROUTED) response.meteredRoute = route;
}

/** The answer is this problem. */
export function noteProblem(response: NodeResponse & Noted, problem: ProblemCode): void {
  response.meteredProblem = problem;
}

/** Class of the responses that `meter` counts, for `http.createServer`. */
export function meteredResponses(meter: HttpMeter): typeof ServiceResponse {
  // No constructor, so that whatever Node gives its own one comes there.
  return class MeteredResponse<Request extends IncomingMessage> extends ServiceResponse<Request> {
    meteredRoute = UNROUTED;
    meteredProblem: ProblemCode | undefined = undefined;
    readonly #beganMs = meter.begun(this.req.socket as MeteredSocket);
    #isCounted = false;

    override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
      if (!this.#isCounted) {
        this.#isCounted = true;
        const socket: MeteredSocket = this.req.socket;
        const { meteredRoute, meteredProblem, statusCode } = this;
        const durationMs = performance.now() - this.#beganMs;
        meter.answered(socket, meteredRoute, statusCode, durationMs, meteredProblem);
      }
      END.call(this, chunk, encoding, callback);
      return this;
    }
  };
}

/** The same for HTTP/2, where a request may end alone and its connection goes on. */
export function meteredHttp2Responses(meter: HttpMeter): typeof Http2Response {
  return class MeteredHttp2Response extends Http2Response {
    meteredRoute = UNROUTED;
    meteredProblem: ProblemCode | undefined = undefined;
    readonly #own: Unanswered = {};
    readonly #beganMs = meter.begun(this.#own);

    override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
      const { meteredRoute, meteredProblem, statusCode } = this;
      const durationMs = performance.now() - this.#beganMs;
      meter.answered(this.#own, meteredRoute, statusCode, durationMs, meteredProblem);
      return super.end(chunk, encoding, callback);
    }

    override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
      meter.ended(this.#own);
      super._destroy(error, callback);
    }
  };
}
