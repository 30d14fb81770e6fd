/**
 * The service's API over keep-alive connections, as a client program uses it: an answer of any
 * status is a value, a broken connection rejects with the system's error, and so does an answer that
 * the API's document does not describe.
 */
import { randomUUID } from 'node:crypto';
import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { checkAnswer } from '../api/described-answers.ts';
import { polled } from '../bounded.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface EventBody {
  readonly product_id: string;
  readonly price: number;
  readonly stock: number;
  readonly occurred_at?: string | number;
}

/** A product as a GET shows it, with the number from its ETag. */
export interface Product {
  readonly id: string;
  readonly price: number;
  readonly stock: number;
  readonly seq: number;
}

/** No request of a test takes this long; one that does fails instead of hanging. */
const REQUEST_MS_MAX = 60_000;
const VISIBLE_MS_MAX = 60_000;

export class ApiClient {
  readonly #port: number;
  readonly #agent: Agent;

  /** Uses up to `connections` connections at a time. */
  constructor(port: number, connections = 1) {
    this.#port = port;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  send(
    method: string,
    path: string,
    body?: string,
    headers: OutgoingHttpHeaders = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port: this.#port,
          method,
          path,
          agent: this.#agent,
          timeout: REQUEST_MS_MAX,
          headers:
            body === undefined
              ? headers
              : {
                  'content-type': 'application/json',
                  'content-length': Buffer.byteLength(body),
                  ...headers,
                },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('error', reject);
          response.on('end', () => {
            const answer = { status: response.statusCode ?? 0, headers: response.headers, text };
            try {
              checkAnswer({ ...answer, method, url: path, isWhole: true });
              resolve(answer);
            } catch (error) {
              reject(error);
            }
          });
        },
      );
      call.on('timeout', () => call.destroy(new Error(`no answer in ${REQUEST_MS_MAX} ms`)));
      call.on('error', (error) => {
        reject(Object.assign(error, { onNewConnection: !call.reusedSocket }));
      });
      call.end(body);
    });
  }

  get(path: string): Promise<Answer> {
    return this.send('GET', path);
  }

  post(event: EventBody): Promise<Answer> {
    return this.send('POST', '/api/v1/events', JSON.stringify(event));
  }

  /** The product's state, or `undefined` if it is unknown; rejects on any other answer. */
  async product(id: string): Promise<Product | undefined> {
    const { status, headers, text } = await this.get(`/api/v1/products/${encodeURIComponent(id)}`);
    if (status === 404) return undefined;
    const seq = /^"(\d+)"$/.exec(headers.etag ?? '')?.[1];
    if (status !== 200 || seq === undefined) throw new Error(`GET ${id}: ${status} ${text}`);
    return { ...JSON.parse(text), seq: Number(seq) };
  }

  /** Waits until the product shows `price`: a 202 says durable, a little later it is applied. */
  visible(id: string, price: number): Promise<Product> {
    const ask = async () => {
      const product = await this.product(id);
      return product?.price === price ? product : undefined;
    };
    return polled(ask, VISIBLE_MS_MAX, `${id} at ${price}`);
  }

  /** Waits until all that is acknowledged by now is applied, too, by writing one product more. */
  async allApplied(): Promise<void> {
    const body = JSON.stringify({ product_id: 'all applied', price: 0, stock: 0 });
    const key = { 'idempotency-key': randomUUID() };
    // A service with a short STORAGE_TIMEOUT may say that it does not know yet.
    const ask = async () => {
      const { status, text } = await this.send('POST', '/api/v1/events?ack=applied', body, key);
      if (status === 503) return undefined;
      if (status !== 200) throw new Error(`${status} ${text}`);
      return true;
    };
    await polled(ask, VISIBLE_MS_MAX, 'all to be applied');
  }

  /** Closes the connections. */
  close(): void {
    this.#agent.destroy();
  }
}

/** The `seq` of a 202. */
export function seqOf(answer: Answer): number {
  const { seq } = JSON.parse(answer.text) as { seq: number };
  return seq;
}

/** The stable code of a problem. */
export function codeOf(answer: Answer): string {
  return (JSON.parse(answer.text) as { code: string }).code;
}

/** The name of a system error, and on what connection: `ECONNREFUSED`, `ECONNRESET on a used one` */
export function errorCode(error: unknown): string {
  const { code, message, onNewConnection } = error as NodeJS.ErrnoException & {
    readonly onNewConnection?: boolean;
  };
  const name = code ?? message;
  if (name === 'ECONNREFUSED') return name;
  return `${name} on a ${onNewConnection ? 'new' : 'used'} connection`;
}
