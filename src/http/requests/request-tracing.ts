/**
 * A span for each request that is sampled, from its headers to its answer. Main thread. Where tracing is
 * off there is no hook, and no request has a trace.
 */
import type { FastifyInstance } from 'fastify';
import { addHeader } from '../connection/service-response.ts';
import type { RequestTrace, RequestTraces } from '../seams/request-traces.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of a request that is sampled. */
    trace?: RequestTrace | undefined;
  }
}

/** W3C Trace Context, level 2: says to the client under which span its request was recorded. */
const TRACE_RESPONSE = 'traceresponse';

/** Call before the first route is added. */
export function traceRequests(app: FastifyInstance, traces: RequestTraces | undefined): void {
  if (traces === undefined) return;
  app.addHook('onRequest', (request, reply, done) => {
    const { method, url, headers, ip: address } = request;
    const id = String(request.id);
    const route = request.routeOptions.url;
    const trace = traces.begin({ method, url, route, headers, address, id });
    if (trace !== undefined) {
      request.trace = trace;
      addHeader(reply.raw, TRACE_RESPONSE, trace.context);
    }
    done();
  });
  app.addHook('onResponse', ({ trace }, reply, done) => {
    trace?.end(reply.raw.statusCode);
    done();
  });
}
