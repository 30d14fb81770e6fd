/** Sends random requests to a running service over kept connections, each answered in bounded time. Tests only. */
import { Buffer } from 'node:buffer';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { Seen } from '../helpers/api/described-answers.ts';
import { bounded } from '../helpers/bounded.ts';
import type { RandomRequest, SENDERS } from './random-request.ts';

/** What no answer of a service on a busy machine takes; a request that gets none hangs. */
const ANSWER_MS_MAX = 30_000;
const ATTEMPTS_MAX = 10;

/** A body without its coding. */
function decoded(bytes: Buffer, coding: string | undefined): Buffer {
  if (coding === 'gzip') return gunzipSync(bytes);
  if (coding === 'br') return brotliDecompressSync(bytes);
  return coding === 'zstd' ? zstdDecompressSync(bytes) : bytes;
}

export type Tokens = Readonly<Record<(typeof SENDERS)[number], string | undefined>>;

export class RequestSender {
  readonly #port: number;
  readonly #tokens: Tokens;
  readonly #agent: Agent;

  constructor(port: number, tokens: Tokens, connections: number) {
    this.#port = port;
    this.#tokens = tokens;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The answer; `refused` if the client itself would not send such a request. Rejects if there is none. */
  async send(request: RandomRequest): Promise<Seen | 'refused'> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await bounded(this.#once(request), ANSWER_MS_MAX, 'an answer');
      } catch (error) {
        if (isRefused(error)) return 'refused';
        // A server that refuses a body may close the connection while it is still being sent.
        if (attempt === ATTEMPTS_MAX || !(error instanceof Error && 'syscall' in error))
          throw error;
      }
    }
  }

  #once({ method, url, headers, body, sender }: RandomRequest): Promise<Seen> {
    const { promise, resolve, reject } = Promise.withResolvers<Seen>();
    const token = this.#tokens[sender];
    const isChunked = headers['transfer-encoding'] !== undefined;
    const outgoing = httpRequest({
      host: '127.0.0.1',
      port: this.#port,
      agent: this.#agent,
      method,
      path: url,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(isChunked || body === undefined ? {} : { 'content-length': body.length }),
        ...headers,
      },
    });
    outgoing.on('response', (response) => {
      void received(response).then(({ text, isWhole }) => {
        const { statusCode: status = 0 } = response;
        resolve({ method, url, status, headers: response.headers, text, isWhole });
      }, reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
    return promise;
  }
}

/** Its text; of a stream of events the beginning, as it has no end. */
async function received(response: IncomingMessage): Promise<{ text: string; isWhole: boolean }> {
  if (response.headers['content-type'] === 'text/event-stream') {
    response.destroy();
    return { text: '', isWhole: false };
  }
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const bytes = decoded(Buffer.concat(chunks), response.headers['content-encoding']);
  return { text: bytes.toString(), isWhole: true };
}

function isRefused(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^ERR_(?:INVALID_CHAR|UNESCAPED_CHARACTERS|INVALID_HTTP_TOKEN|HTTP_)/.test(code);
}
