/** Connections to each of the threads that serve HTTP on one port. Tests only. */
import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import type { Test } from 'tap';
import { bounded, polled } from '../bounded.ts';

const ANSWER_MS_MAX = 60_000;
/** The kernel spreads connections by chance: with two threads, all of these on one are once in 2^199. */
const CONNECTIONS_MAX = 200;

export interface ThreadAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** One connection that is kept; requests on it follow one another. */
export class ThreadConnection {
  /** What the ids of its requests begin with, which is another for each thread. */
  thread = '';
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(t: Pick<Test, 'teardown'>, port: number) {
    this.#port = port;
    t.teardown(() => this.close());
  }

  /** Rejects with the error of the connection; `body` is sent as JSON. */
  send(
    method: string,
    path: string,
    body?: string | object,
    headers: OutgoingHttpHeaders = {},
  ): Promise<ThreadAnswer> {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = new Promise<ThreadAnswer>((resolve, reject) => {
      const { port } = { port: this.#port };
      const options = { agent: this.#agent, host: '127.0.0.1', port, method, path };
      const sent = request({ ...options, headers: { ...type, ...headers } }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.once('error', reject);
        response.once('end', () => {
          const { statusCode = 0, headers: received } = response;
          resolve({ status: statusCode, headers: received, text });
        });
      });
      sent.once('error', reject);
      sent.end(typeof body === 'object' ? JSON.stringify(body) : body);
    });
    return bounded(answer, ANSWER_MS_MAX, `an answer to ${method} ${path}`);
  }

  /** Asks which thread it has. */
  async find(): Promise<string> {
    const { headers } = await this.send('GET', '/livez');
    this.thread = String(headers['x-request-id']).replace(/-[^-]*$/, '');
    return this.thread;
  }

  /** Waits until its thread takes requests: it may listen before. */
  async open(): Promise<void> {
    const isOpen = async () => {
      const { status } = await this.send('GET', '/readyz?for=reads');
      return status === 200 || undefined;
    };
    await polled(isOpen, ANSWER_MS_MAX, 'a thread to be open');
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Opens connections until there is one to each of `threads` threads, which are open; the others are closed. */
export async function connectToAll(
  t: Pick<Test, 'teardown'>,
  port: number,
  threads: number,
): Promise<readonly ThreadConnection[]> {
  const found = new Map<string, ThreadConnection>();
  for (let i = 0; i < CONNECTIONS_MAX; i++) {
    const connection = new ThreadConnection(t, port);
    try {
      const thread = await connection.find();
      if (found.has(thread)) connection.close();
      else {
        await connection.open();
        found.set(thread, connection);
      }
    } catch (error) {
      for (const each of [connection, ...found.values()]) each.close();
      throw error;
    }
    if (found.size === threads) return [...found.values()];
  }
  throw new Error(`${found.size} of ${threads} threads answered ${CONNECTIONS_MAX} connections`);
}
