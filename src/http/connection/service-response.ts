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
import { ServerResponse as NodeResponse } from './node-http.ts';

/** No browser guesses another type than the one said. */
export const COMMON_HEADERS: readonly (readonly [name: string, value: string])[] = [
  ['x-content-type-options', 'nosniff'],
];

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];

export class ServiceResponse<
  Request extends IncomingMessage = IncomingMessage,
> extends NodeResponse<Request> {
  /** What `addHeader` has added. */
  added: Record<string, string> | undefined = undefined;

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

/** Has `response` say one more header, in lower case, when its headers are written. */
export function addHeader(response: ServerResponse, name: string, value: string): void {
  if (!(response instanceof ServiceResponse)) response.setHeader(name, value);
  else if (response.added === undefined) response.added = { [name]: value };
  else response.added[name] = value;
}
