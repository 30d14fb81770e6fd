/**
 * A request of HTTP/2 in the form of one of HTTP/1.1: what stands behind the server (Fastify, guards, uploads)
 * asks nothing of it that `IncomingMessage` has not. Main thread.
 *
 * Made on the stream itself and not by Node's compatibility API, whose request ends like a whole one when its
 * client gives up in the middle: a batch that was cut off would be taken for one that is complete.
 */
import type { IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** As Node calls it where a connection of HTTP/1.1 ends in a body. */
class Aborted extends Error {
  readonly code = 'ECONNRESET';
  constructor() {
    super('aborted');
  }
}

export interface Http2RequestHead {
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turns. */
  readonly rawHeaders: readonly string[];
}

export class Http2Request extends Readable {
  readonly httpVersion = '2.0';
  readonly httpVersionMajor = 2;
  readonly httpVersionMinor = 0;
  readonly method: string;
  url: string;
  /** Without pseudo-headers; `host` is what `:authority` says, if that is there. */
  readonly headers: Record<string, string | string[] | undefined>;
  readonly rawHeaders: string[];
  /** Of the connection, which is not this request's alone. */
  readonly socket: TLSSocket;
  /** Whether the body was read to its end. */
  complete = false;
  aborted = false;
  readonly #stream: ServerHttp2Stream;
  #isReading = false;

  constructor(stream: ServerHttp2Stream, socket: TLSSocket, head: Http2RequestHead) {
    super();
    const { headers, rawHeaders } = head;
    this.#stream = stream;
    this.socket = socket;
    this.method = headers[':method'] ?? '';
    this.url = headers[':path'] ?? '';
    this.headers = withoutPseudo(headers);
    this.rawHeaders = rawWithoutPseudo(rawHeaders);
    const authority = headers[':authority'];
    if (authority !== undefined && this.headers.host === undefined) {
      this.headers.host = authority;
      this.rawHeaders.push('host', authority);
    }
    stream.once('close', () => this.#closed());
    if (stream.endAfterHeaders) {
      this.complete = true;
      this.push(null);
    }
  }

  override _read(): void {
    if (this.complete) return;
    const stream = this.#stream;
    if (!this.#isReading) {
      this.#isReading = true;
      stream.on('data', (chunk: Buffer) => {
        if (!this.push(chunk)) stream.pause();
      });
      stream.once('end', () => {
        // A stream that its client has reset without an error ends, too, wherever it was.
        if (stream.closed) return;
        this.complete = true;
        this.push(null);
      });
    }
    stream.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.complete && !this.#stream.closed && error === null) this.#stream.close(CANCEL);
    // As for HTTP/1.1: whoever doesn't listen doesn't want to know.
    callback(this.listenerCount('error') > 0 ? error : null);
  }

  #closed(): void {
    if (this.complete || this.destroyed) return;
    this.aborted = true;
    this.destroy(new Aborted());
  }
}

/** By what a request's time is kept: the request itself, or its connection, where that has one at a time. */
export function timedBy(request: IncomingMessage): Readable {
  return request instanceof Http2Request ? request : request.socket;
}

/** RST_STREAM: the stream is no longer needed. */
const CANCEL = 8;

function withoutPseudo(headers: IncomingHttpHeaders): Http2Request['headers'] {
  const plain: Http2Request['headers'] = Object.create(null);
  for (const name of Object.keys(headers)) {
    if (!name.startsWith(':')) plain[name] = headers[name];
  }
  return plain;
}

function rawWithoutPseudo(rawHeaders: readonly string[]): string[] {
  const plain: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!rawHeaders[i].startsWith(':')) plain.push(rawHeaders[i], rawHeaders[i + 1]);
  }
  return plain;
}
