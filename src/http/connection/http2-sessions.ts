/**
 * HTTP/2 on connections whose clients have agreed to it (ALPN): makes requests of their streams, and bounds
 * what slow, idle or too many clients can hold, for Node does that for HTTP/1.1 alone. Main thread; owns a
 * record of each session and of each stream in it.
 *
 * The bounds are those of HTTP/1.1. A session without a stream is an idle connection, whatever else its client
 * sends: PINGs and half a header block keep nothing open. A request whose body is not there in its time gets
 * 408; an answer must be taken as slow-readers.ts has it, each on its own, because a client can stop taking one
 * and go on with the others. Streams open at a time are as many as connections may be, all sessions together: what
 * is beyond is refused unseen (REFUSED_STREAM), which clients may repeat safely.
 *
 * The end of a session loses nothing: GOAWAY names the last stream that is served, these are answered, and then
 * the sending half is closed. What a client has sent behind that is not looked at, and its library knows it.
 *
 * What Node and nghttp2 bound by themselves: header lists beyond twice what is answered with 431, a single field
 * (64 KiB as it is coded), memory of a session (10 MB), SETTINGS and PING floods, frames without end,
 * streams reset at once (a burst of 1,000, then 33 a second).
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { ServerHttp2Session, ServerHttp2Stream, ServerOptions } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { SharedPlaces } from '../../threads/shared-places.ts';
import type { EarlyAnswers } from './early-answers.ts';
import { askLate } from './expect-continue.ts';
import { Http2Request, type Http2RequestHead } from './http2-request.ts';
import type { Http2Response } from './http2-response.ts';
import type { HttpLimits } from './server.ts';
import { Patience } from './slow-readers.ts';

/** Streams that one session may have open at a time; RFC 9113 asks for a hundred. */
const STREAMS_MAX = 100;

/** How long a client may go on sending what nobody reads any more, or leave a connection open that has ended. */
const LINGER_MS = 1000;

const LOOK_MS_MAX = 1000;

// RST_STREAM (RFC 9113, section 7).
const NO_ERROR = 0;
const PROTOCOL_ERROR = 1;
const REFUSED_STREAM = 7;
const CANCEL = 8;

export interface Http2Parts {
  readonly handler: RequestListener;
  /** The class of its responses. */
  readonly responses: typeof Http2Response;
  readonly early: EarlyAnswers;
  /** Requests that are not timed as a whole; upload.ts. */
  readonly untimed: WeakSet<object>;
  /** How many are open, on all threads that serve HTTP; this one's alone, unless given. */
  readonly streams?: SharedPlaces | undefined;
  /** Hears of each stream that is refused because there are too many. */
  readonly onRefused?: (() => void) | undefined;
  /** Names and values of a header list together; as much as a head of HTTP/1.1. */
  readonly headerBytesMax: number;
}

interface Exchange {
  readonly stream: ServerHttp2Stream;
  readonly request: Http2Request;
  readonly response: Http2Response;
  readonly beganMs: number;
  /** While its client has bytes of the answer to take. */
  patience: Patience | undefined;
}

interface Session {
  readonly session: ServerHttp2Session;
  readonly socket: TLSSocket;
  readonly exchanges: Set<Exchange>;
  /** Since when it has no stream (monotonic ms), and for how long it may. */
  idleSinceMs: number;
  idleMs: number;
  /** When it was seen to have ended; its socket is closed by the client, or soon. */
  endedMs: number | undefined;
}

export class Http2Sessions {
  readonly #limits: HttpLimits;
  readonly #parts: Http2Parts;
  readonly #options: ServerOptions;
  readonly #sessions = new Set<Session>();
  readonly #looking: NodeJS.Timeout;
  readonly #streams: SharedPlaces;
  #isClosing = false;
  #lookedAtMs = performance.now();

  constructor(limits: HttpLimits, parts: Http2Parts) {
    this.#limits = limits;
    this.#parts = parts;
    this.#streams = parts.streams ?? SharedPlaces.alone(limits.httpConnectionsMax);
    this.#options = {
      settings: { maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: 2 * parts.headerBytesMax },
    };
    const everyMs = Math.max(
      10,
      Math.min(LOOK_MS_MAX, limits.headersTimeoutMs / 4, limits.answerTimeoutMs / 4),
    );
    this.#looking = setInterval(() => this.#look(), everyMs).unref();
  }

  /** Speaks HTTP/2 on `socket`, whose handshake is done, until either side ends it. */
  accept(socket: TLSSocket): void {
    const { performServerHandshake } = process.getBuiltinModule('node:http2');
    // What goes wrong with a connection ends it, and is nobody's fault here.
    socket.on('error', () => undefined);
    const session = performServerHandshake(socket, this.#options);
    const kept: Session = {
      session,
      socket,
      exchanges: new Set(),
      idleSinceMs: performance.now(),
      idleMs: this.#limits.headersTimeoutMs,
      endedMs: undefined,
    };
    this.#sessions.add(kept);
    session.on('error', () => undefined);
    session.on('stream', (stream, headers, _flags, rawHeaders) => {
      this.#begin(kept, stream, { headers, rawHeaders });
    });
    socket.once('close', () => this.#sessions.delete(kept));
    if (this.#isClosing) session.close();
  }

  /** Lets each session end with the streams that it has, and begins no other. */
  close(): void {
    this.#isClosing = true;
    for (const { session } of this.#sessions) if (!session.closed) session.close();
  }

  /** Looks at nothing more; call when all connections are closed. */
  dispose(): void {
    clearInterval(this.#looking);
  }

  #begin(kept: Session, stream: ServerHttp2Stream, head: Http2RequestHead): void {
    stream.on('error', () => undefined);
    if (!this.#streams.take()) {
      this.#parts.onRefused?.();
      stream.close(REFUSED_STREAM);
      return;
    }
    const request = new Http2Request(stream, kept.socket, head);
    const response = new this.#parts.responses(stream, request);
    const exchange: Exchange = {
      stream,
      request,
      response,
      beganMs: performance.now(),
      patience: undefined,
    };
    kept.exchanges.add(exchange);
    stream.once('close', () => {
      this.#streams.give(1);
      kept.exchanges.delete(exchange);
      kept.idleSinceMs = performance.now();
      kept.idleMs = this.#limits.keepAliveTimeoutMs;
    });
    response.once('finish', () => endBehindAnswer(exchange));
    this.#handle(exchange, head);
  }

  #handle({ stream, request, response }: Exchange, head: Http2RequestHead): void {
    const { headers, rawHeaders } = head;
    const { handler, early, headerBytesMax } = this.#parts;
    const asHttp1 = response as unknown as ServerResponse;
    const { expect, host } = request.headers;
    const authority = headers[':authority'];
    if (request.method === 'CONNECT') {
      stream.close(PROTOCOL_ERROR);
    } else if (bytesOf(rawHeaders) > headerBytesMax) {
      early.answer(asHttp1, 'headers-too-large');
    } else if (authority !== undefined && authority !== host) {
      // RFC 9113, section 8.3.1: what stands before this service may go by the other.
      early.answer(asHttp1, 'bad-request', { detail: 'The Host header is not the :authority.' });
    } else if (expect !== undefined && !isContinue(expect)) {
      early.answer(asHttp1, 'expectation-failed');
    } else {
      const asRequest = request as unknown as IncomingMessage;
      if (expect !== undefined) askLate(asRequest, asHttp1);
      handler(asRequest, asHttp1);
    }
  }

  #look(): void {
    const nowMs = performance.now();
    const passedMs = nowMs - this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    for (const kept of this.#sessions) {
      for (const exchange of kept.exchanges) this.#lookAt(kept, exchange, nowMs, passedMs);
      const { session, socket, exchanges } = kept;
      if (session.destroyed) {
        // Its `close` would come with the socket's.
        kept.endedMs ??= nowMs;
        if (nowMs - kept.endedMs > LINGER_MS) socket.destroy();
      } else if (exchanges.size === 0 && nowMs - kept.idleSinceMs > kept.idleMs) {
        if (!session.closed) session.close();
      }
    }
  }

  #lookAt(kept: Session, exchange: Exchange, nowMs: number, passedMs: number): void {
    const { request, response } = exchange;
    const { early, untimed } = this.#parts;
    const isLate = nowMs - exchange.beganMs > this.#limits.requestTimeoutMs;
    if (isLate && !request.complete && !response.headersSent && !untimed.has(request)) {
      early.answer(response as unknown as ServerResponse, 'request-timeout');
    }
    const { takenBytes, pieceBytes } = response;
    if (pieceBytes === 0 || response.isUnhurried) exchange.patience = undefined;
    else if (exchange.patience === undefined) {
      exchange.patience = new Patience(this.#limits.answerTimeoutMs, takenBytes);
    } else if (exchange.patience.isOver(takenBytes, pieceBytes, passedMs)) {
      cutOff(kept, exchange);
    }
  }
}

function bytesOf(texts: readonly string[]): number {
  let bytes = 0;
  for (const text of texts) bytes += text.length;
  return bytes;
}

function isContinue(expect: string | string[]): boolean {
  return typeof expect === 'string' && expect.toLowerCase() === '100-continue';
}

/** What is not taken goes; so does the connection, if there is nothing else on it. */
function cutOff({ exchanges, socket }: Session, { stream }: Exchange): void {
  if (exchanges.size === 1) socket.destroy();
  else stream.close(CANCEL);
}

/** The answer is out: what is left of the body is read away for a moment, then the client is asked to stop. */
function endBehindAnswer({ stream, request }: Exchange): void {
  if (request.complete || request.destroyed || stream.closed) return;
  request.resume();
  const cutOff = setTimeout(() => stream.close(NO_ERROR), LINGER_MS);
  stream.once('close', () => clearTimeout(cutOff));
}
