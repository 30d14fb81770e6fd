/**
 * A response of HTTP/2 in the form of one of HTTP/1.1, with what every answer of this service carries
 * (service-response.ts). Main thread.
 *
 * A real Writable in front of the stream, where Node's compatibility API has an imitation: `destroyed`,
 * `writableNeedDrain` and `pipeline` are what exports and followers go by.
 */
import type { OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { Writable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Http2Request } from './http2-request.ts';
import { COMMON_HEADERS } from './service-response.ts';

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];
type Callback = (error?: Error | null) => void;

/** RST_STREAM: the answer is not whole. */
const INTERNAL_ERROR = 2;

/** What HTTP/2 has no such headers for, and forbids (RFC 9113, section 8.2.2). */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** A frame of DATA, and a record of TLS. */
const PIECE_BYTES_MAX = 16 * 1024;

class HeadersSent extends Error {
  readonly code = 'ERR_HTTP_HEADERS_SENT';
}

export class Http2Response extends Writable {
  statusCode = 200;
  /** What `addHeader` has added. */
  added: Record<string, string> | undefined = undefined;
  readonly req: Http2Request;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: Record<string, OutgoingHttpHeader> = Object.create(null);
  #headersSent = false;
  #hasBody = true;
  /** The piece that is about to be written is the whole body. */
  #isOnePiece = false;
  #isUnhurried = false;
  /** Bytes of the body that its client has taken. */
  takenBytes = 0;
  /** Those of the piece that is on its way; whether some of it was taken can't be seen. */
  pieceBytes = 0;

  constructor(stream: ServerHttp2Stream, req: Http2Request) {
    super();
    this.#stream = stream;
    this.req = req;
    // Nobody has to listen: whoever wants to know that its client is gone looks at `close`.
    this.on('error', () => undefined);
    stream.once('close', () => this.destroy());
  }

  get socket(): TLSSocket {
    return this.req.socket;
  }

  get headersSent(): boolean {
    return this.#headersSent;
  }

  /** Whether its client may take its time: `setTimeout(0)` was called. */
  get isUnhurried(): boolean {
    return this.#isUnhurried;
  }

  /** 0: it is watched otherwise, or is quiet by nature. Other times are the service's, not an answer's. */
  setTimeout(ms: number): this {
    this.#isUnhurried = ms === 0;
    return this;
  }

  setHeader(name: string, value: OutgoingHttpHeader): this {
    this.#headers[name.toLowerCase()] = value;
    return this;
  }

  getHeader(name: string): OutgoingHttpHeader | undefined {
    return this.#headers[name.toLowerCase()];
  }

  hasHeader(name: string): boolean {
    return this.getHeader(name) !== undefined;
  }

  removeHeader(name: string): void {
    delete this.#headers[name.toLowerCase()];
  }

  getHeaders(): OutgoingHttpHeaders {
    return { ...this.#headers };
  }

  getHeaderNames(): string[] {
    return Object.keys(this.#headers);
  }

  flushHeaders(): void {
    if (!this.#headersSent) this.writeHead(this.statusCode);
  }

  /** Asks the client for its body. */
  writeContinue(): void {
    if (!this.#stream.destroyed) this.#stream.additionalHeaders({ ':status': 100 });
  }

  writeHead(status: number, message?: string, headers?: Headers): this;
  writeHead(status: number, headers?: Headers): this;
  writeHead(status: number, first?: string | Headers, second?: Headers): this {
    if (this.#headersSent) {
      if (this.writableEnded || this.destroyed) return this;
      throw new HeadersSent('the headers of this answer were written before');
    }
    this.#headersSent = true;
    this.statusCode = status;
    this.#hasBody = status !== 204 && status !== 304 && this.req.method !== 'HEAD';
    // There is no place for the message that goes with a status in HTTP/1.1.
    const given = (typeof first === 'string' ? second : first) ?? {};
    if (!this.#stream.destroyed && !this.#stream.closed) {
      this.#stream.respond(this.#headersWith(status, given));
    }
    return this;
  }

  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    // As for HTTP/1.1, whoever comes second is not heard.
    if (this.writableEnded || this.destroyed) return this;
    this.#isOnePiece = hasBytes(chunk) && this.writableLength === 0;
    END.call(this, chunk, encoding, callback);
    return this;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.flushHeaders();
    if (this.#hasBody) this.#writePiece(chunk, callback);
    else callback();
  }

  /** A piece at a time, so that it can be seen how far its client is. */
  #writePiece(bytes: Buffer, callback: Callback): void {
    const stream = this.#stream;
    if (stream.destroyed) {
      callback();
      return;
    }
    const piece = bytes.length > PIECE_BYTES_MAX ? bytes.subarray(0, PIECE_BYTES_MAX) : bytes;
    this.pieceBytes = piece.length;
    const onTaken = (error?: Error | null): void => {
      this.takenBytes += piece.length;
      this.pieceBytes = 0;
      if (error || piece.length === bytes.length) callback(error);
      else this.#writePiece(bytes.subarray(piece.length), callback);
    };
    // In one go with the end, instead of an empty frame for that.
    if (this.#isOnePiece && piece.length === bytes.length) stream.end(piece, onTaken);
    else stream.write(piece, onTaken);
  }

  override _final(callback: Callback): void {
    this.flushHeaders();
    // A stream that has no body ends with its headers.
    if (!this.#hasBody || this.#stream.destroyed || this.#stream.writableEnded) callback();
    else this.#stream.end(callback);
  }

  override _destroy(error: Error | null, callback: Callback): void {
    const isWhole = this.writableFinished || this.#stream.writableFinished;
    if (!isWhole && !this.#stream.closed) this.#stream.close(INTERNAL_ERROR);
    callback(error);
  }

  #headersWith(status: number, given: Headers): OutgoingHttpHeaders {
    const all: OutgoingHttpHeaders = { ...this.#headers };
    for (const [name, value] of pairsOf(given)) all[name.toLowerCase()] = value;
    const { added } = this;
    if (added !== undefined) {
      const { vary } = all;
      Object.assign(all, added);
      if (added.vary !== undefined && vary !== undefined) all.vary = `${vary}, ${added.vary}`;
    }
    for (const [name, value] of COMMON_HEADERS) all[name] = value;
    for (const name of Object.keys(all)) if (OF_THE_CONNECTION.has(name)) delete all[name];
    all[':status'] = status;
    return all;
  }
}

const END = Writable.prototype.end as (
  this: Writable,
  chunk?: unknown,
  encoding?: unknown,
  callback?: unknown,
) => Writable;

function hasBytes(chunk: unknown): boolean {
  return (typeof chunk === 'string' || chunk instanceof Uint8Array) && chunk.length > 0;
}

function pairsOf(headers: Headers): Iterable<[string, OutgoingHttpHeader | undefined]> {
  if (!Array.isArray(headers)) return Object.entries(headers);
  const pairs: [string, OutgoingHttpHeader][] = [];
  for (let i = 0; i < headers.length; i += 2) pairs.push([String(headers[i]), headers[i + 1]]);
  return pairs;
}
