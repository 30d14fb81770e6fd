/**
 * Node's HTTP server with every limit set: what slow, idle or too many clients can hold is bounded
 * here and nowhere else. Main thread.
 */
import type { RequestListener, Server, ServerOptions } from 'node:http';
import { createServer } from './node-http.ts';
import { ServiceResponse } from './service-response.ts';

/** Relations are the configuration's to check: `headersTimeoutMs` ≤ `requestTimeoutMs`. */
export interface HttpLimits {
  /** Largest body accepted, in bytes. */
  readonly bodyBytesMax: number;
  /** From the connection or the first byte of a request until its headers are complete. */
  readonly headersTimeoutMs: number;
  /** The same until the body is complete too. */
  readonly requestTimeoutMs: number;
  /** How long a connection may stay idle between two requests. */
  readonly keepAliveTimeoutMs: number;
  /** Connections above this are closed as they come. */
  readonly httpConnectionsMax: number;
}

/**
 * Request line and headers together: 1,000 product ids of 64 bytes (`?id=…&id=…`) and 28 KiB for the
 * rest. A tenth of what a connection may hold for a body by default.
 */
export const HEADER_BYTES_MAX = 96 * 1024;

/** Node closes late requests only when it looks; its default of 30 s would add to every limit. */
const CHECKING_INTERVAL_MS_MAX = 1000;

/** `responses`: the class of its responses. */
export function createHttpServer(
  limits: HttpLimits,
  handler: RequestListener,
  responses: typeof ServiceResponse = ServiceResponse,
): Server {
  const { headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs } = limits;
  const options: ServerOptions = {
    ServerResponse: responses,
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.max(
      10,
      Math.min(CHECKING_INTERVAL_MS_MAX, Math.floor(headersTimeoutMs / 4)),
    ),
    insecureHTTPParser: false,
    requireHostHeader: false, // host-guard.ts does it, with a body and for two as well
  };
  const server = createServer(options, handler);
  // Silence in both directions: a client that sends but never reads its answers.
  server.timeout = requestTimeoutMs + keepAliveTimeoutMs;
  server.maxConnections = limits.httpConnectionsMax;
  return server;
}
