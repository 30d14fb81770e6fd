/**
 * The response as this service writes it: what every answer carries is added as its headers are written,
 * whoever writes them (Fastify, a hijacked reply, an early answer). Main thread; the hot path: a member or two
 * in the object that Node is about to read, instead of Node's slower way by `setHeader`.
 */
import type {
  IncomingMessage,
  OutgoingHttpHeader,
  OutgoingHttpHeaders,
  ServerResponse,
} from 'node:http';
import { DateLine } from './date-line.ts';
import { ServerResponse as NodeResponse, STATUS_CODES } from './node-http.ts';

/** No browser guesses another type than the one said. */
export const COMMON_HEADERS: readonly (readonly [name: string, value: string])[] = [
  ['x-content-type-options', 'nosniff'],
];

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];

/** What Node's own class has beside what its types say. */
interface NodeInternals {
  /** The head as text, to be sent with what is written first. */
  _header: string | null;
  _hasBody: boolean;
  readonly _defaultKeepAlive: boolean;
  readonly _expect_continue: boolean;
  readonly _keepAliveTimeout: number;
  readonly _removedConnection: boolean;
}

const COMMON_LINES = linesOf(Object.fromEntries(COMMON_HEADERS));
const DATE = new DateLine();
const STATUS_LINES = new Map(
  Object.entries(STATUS_CODES).map(([status, text]) => [
    Number(status),
    `HTTP/1.1 ${status} ${text}\r\n`,
  ]),
);

export class ServiceResponse<
  Request extends IncomingMessage = IncomingMessage,
> extends NodeResponse<Request> {
  /** What `addHeader` has added. */
  added: Record<string, string> | undefined = undefined;
  /** Whether anybody had Node keep or drop a header. */
  #hasOwnHeaders = false;
  /** Whether the text that `begin` was given is all ASCII. */
  #isAscii = false;

  /**
   * Says the head of an answer whose text, all of it, `endText` is given next; `lines` are its own header
   * lines, each with its line end, valid and with a Content-Length of `bytes`. The answer is the one of
   * `writeHead` and `end`, byte for byte, without what Node asks and checks of each header. Returns false, and
   * does nothing, where that takes Node's way: a header was set or removed, no other answer may follow this
   * one, or it has no body.
   */
  begin(status: number, lines: string, text: string, bytes: number): boolean {
    const node = this as unknown as NodeInternals;
    if (this.#hasOwnHeaders || this.headersSent || !this.shouldKeepAlive || !node._hasBody)
      return false;
    if (!node._defaultKeepAlive || node._removedConnection || node._expect_continue) return false;
    const added = this.added === undefined ? '' : linesOf(this.added);
    const timeout = node._keepAliveTimeout;
    const keepAlive = timeout === 0 ? '' : `Keep-Alive: timeout=${Math.floor(timeout / 1000)}\r\n`;
    this.statusCode = status;
    this.statusMessage = STATUS_CODES[status] ?? '';
    this.#isAscii = text.length === bytes;
    node._header = `${STATUS_LINES.get(status)}${lines}${added}${COMMON_LINES}${DATE.at(Date.now())}Connection: keep-alive\r\n${keepAlive}\r\n`;
    return true;
  }

  /** After `begin`. */
  endText(text: string): void {
    // Node writes Latin-1 faster than UTF-8.
    this.end(text, this.#isAscii ? 'latin1' : 'utf8');
  }

  override setHeader(name: string, value: number | string | readonly string[]): this {
    this.#hasOwnHeaders = true;
    return super.setHeader(name, value);
  }

  override appendHeader(name: string, value: string | readonly string[]): this {
    this.#hasOwnHeaders = true;
    return super.appendHeader(name, value);
  }

  override removeHeader(name: string): void {
    this.#hasOwnHeaders = true;
    super.removeHeader(name);
  }

  override writeHead(status: number, message?: string, headers?: Headers): this;
  override writeHead(status: number, headers?: Headers): this;
  override writeHead(status: number, first?: string | Headers, second?: Headers): this {
    const asked = (typeof first === 'string' ? second : first) ?? {};
    const given = this.added === undefined ? asked : this.#withAdded(asked, this.added);
    if (Array.isArray(given)) {
      for (const [name, value] of COMMON_HEADERS) given.push(name, value);
    } else {
      for (const [name, value] of COMMON_HEADERS) given[name] = value;
    }
    return typeof first === 'string'
      ? super.writeHead(status, first, given)
      : super.writeHead(status, given);
  }

  /** A copy, because some hand over the same object for every answer. */
  #withAdded(asked: Headers, added: Readonly<Record<string, string>>): Headers {
    if (Array.isArray(asked)) return [...asked, ...Object.entries(added).flat()];
    const headers = { ...asked, ...added };
    const vary = asked.vary ?? this.getHeader('vary');
    if (added.vary !== undefined && vary !== undefined) headers.vary = `${vary}, ${added.vary}`;
    return headers;
  }
}

/** Takes what is added: `ServiceResponse`, and that of HTTP/2 (http2-response.ts). */
interface Adding {
  added?: Record<string, string> | undefined;
}

/** Has `response` say one more header, in lower case, when its headers are written. */
export function addHeader(response: ServerResponse & Adding, name: string, value: string): void {
  if (!('added' in response)) response.setHeader(name, value);
  else if (response.added === undefined) response.added = { [name]: value };
  else response.added[name] = value;
}

function linesOf(headers: Readonly<Record<string, string>>): string {
  let lines = '';
  for (const name in headers) lines += `${name}: ${headers[name]}\r\n`;
  return lines;
}
