/**
 * Node's HTTP server with every limit set: what slow, idle or too many clients can hold is bounded
 * here and nowhere else. Main thread.
 */
import type { RequestListener, Server, ServerOptions } from 'node:http';
import type { ServerOptions as HttpsOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { OpenCounts } from '../../limits/open-counts.ts';
import { type Http2Parts, Http2Sessions } from './http2-sessions.ts';
import { createServer } from './node-http.ts';
import { ServiceRequest } from './service-request.ts';
import { ServiceResponse } from './service-response.ts';
import type { LoadedTls } from './tls-files.ts';

/** Relations are the configuration's to check: `headersTimeoutMs` ≤ `requestTimeoutMs`. */
export interface HttpLimits {
  /** Largest body accepted, in bytes. */
  readonly bodyBytesMax: number;
  /** From the connection or the first byte of a request until its headers are complete. */
  readonly headersTimeoutMs: number;
  /** The same until the body is complete too. */
  readonly requestTimeoutMs: number;
  /** How long a client may take nothing of an answer that waits for it; slow-readers.ts. */
  readonly answerTimeoutMs: number;
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

/**
 * Node closes late requests only when it looks; its default of 30 s would add to every limit. A look costs next to
 * nothing where none is late, and the rarer it is, the more come due at once.
 */
const CHECKING_INTERVAL_MS_MAX = 100;

export interface ServerParts {
  readonly handler: RequestListener;
  /** The class of its responses. */
  readonly responses?: typeof ServiceResponse | undefined;
  /** With it, it speaks TLS and nothing else: HTTP/2 to who agrees to it, HTTP/1.1 to all others. */
  readonly tls?: LoadedTls | undefined;
  readonly http2: Omit<Http2Parts, 'handler' | 'headerBytesMax' | 'streams'>;
  /** Where other threads serve HTTP, too. */
  readonly counts?: Pick<OpenCounts, 'connections' | 'streams'> | undefined;
}

const SESSIONS = Symbol('sessions of HTTP/2');

interface TlsServer extends Server {
  readonly [SESSIONS]?: Http2Sessions;
}

/** Those of `server`, if it speaks TLS. */
export function http2SessionsOf(server: TlsServer): Http2Sessions | undefined {
  return server[SESSIONS];
}

export function createHttpServer(
  limits: HttpLimits,
  { handler, responses = ServiceResponse, tls, http2, counts }: ServerParts,
): Server {
  const { headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs } = limits;
  const options: ServerOptions = {
    IncomingMessage: ServiceRequest,
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
  const handle: RequestListener = (request, response) => {
    if (request instanceof ServiceRequest) request.closeWithoutBody();
    handler(request, response);
  };
  const server =
    tls === undefined
      ? createServer(options, handle)
      : createTlsServer(
          { ...options, ...tls.options, handshakeTimeout: headersTimeoutMs },
          handle,
          new Http2Sessions(limits, {
            ...http2,
            handler,
            headerBytesMax: HEADER_BYTES_MAX,
            streams: counts?.streams,
          }),
        );
  // Silence in both directions: a client that sends but never reads its answers.
  server.timeout = requestTimeoutMs + keepAliveTimeoutMs;
  if (counts === undefined) server.maxConnections = limits.httpConnectionsMax;
  else countTogether(server, counts.connections);
  return server;
}

/**
 * Lets `server` take a connection if all threads together have a place for it. Node looks at
 * `maxConnections`, twice, before it makes a socket of what it has accepted; so that is where a place is
 * taken, once, and the socket that comes of it gives it back.
 */
function countTogether(server: Server, connections: OpenCounts['connections']): void {
  let isTaken = false;
  Object.defineProperty(server, 'maxConnections', {
    get: () => {
      isTaken ||= connections.take();
      return isTaken ? Number.MAX_SAFE_INTEGER : 0;
    },
  });
  server.on('connection', (socket: Socket) => {
    isTaken = false;
    socket.once('close', () => connections.give(1));
  });
}

/**
 * The same over TLS, as far as this service has to do with it: all of `http.Server` that it uses is there. A
 * connection in its handshake is no request's yet and would hold up the end, so it ends with the others.
 *
 * Node's own server for both (`http2.createSecureServer` with `allowHTTP1`) is not taken: it would be
 * another one for HTTP/1.1, too. So this is the HTTPS server that it was, and hands on what agreed to HTTP/2.
 */
function createTlsServer(
  options: HttpsOptions,
  handler: RequestListener,
  sessions: Http2Sessions,
): Server {
  const server = process
    .getBuiltinModule('node:https')
    .createServer({ ...options, ALPNProtocols: ['h2', 'http/1.1'] }, handler);
  const speakHttp1 = server.listeners('secureConnection') as ((socket: TLSSocket) => void)[];
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket) => {
    if (socket.alpnProtocol === 'h2') sessions.accept(socket);
    else for (const listener of speakHttp1) listener.call(server, socket);
  });
  server.once('close', () => sessions.dispose());
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const closeRequests = server.closeAllConnections.bind(server);
  server.closeAllConnections = () => {
    closeRequests();
    for (const socket of sockets) socket.destroy();
  };
  const close = server.close.bind(server);
  server.close = (callback) => {
    sessions.close();
    return close(callback);
  };
  return Object.assign(server as unknown as Server, { [SESSIONS]: sessions });
}
