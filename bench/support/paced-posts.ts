/** Clients of single events: at a steady rate whatever the answers take, or one after the other until told to stop. Main thread of the bench. */
import { Agent, request } from 'node:http';

const CONNECTIONS = 64;

export interface Posted {
  readonly ms: number;
  readonly seq: number;
}

/** Sends `perSecond` events for `seconds`, in turns to `urls`; resolves with each answer's latency from when it was due. */
export async function pacedPosts(
  urls: readonly string[],
  perSecond: number,
  seconds: number,
): Promise<Posted[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const startMs = performance.now() + 100;
  const sent = Array.from({ length: perSecond * seconds }, async (_, i) => {
    const dueMs = startMs + (i * 1000) / perSecond;
    await new Promise((resolve) => setTimeout(resolve, dueMs - performance.now()));
    const beginMs = performance.now();
    const { status, seq } = await post(
      agent,
      urls[i % urls.length] ?? '',
      i,
      `paced-${beginMs}-${i}`,
    );
    if (status !== 202) throw new Error(`a paced event was answered ${status}`);
    return { ms: performance.now() - beginMs, seq };
  });
  const posted = await Promise.all(sent);
  agent.destroy();
  return posted;
}

/** Writes, or reads, one after the other at each of some instances, and knows the longest time without an answer. */
export class SteadyClients {
  readonly #clients: Promise<void>[];
  #isOver = false;
  #lastMs = 0;
  #longestMs = 0;
  answers = 0;
  failures = 0;

  constructor(urls: readonly string[], what: 'writes' | 'reads', path: string) {
    this.#lastMs = performance.now();
    this.#clients = urls.map(async (url, lane) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let n = 0; !this.#isOver; n++) {
        const key = `steady-${lane}-${n}-${this.#lastMs}`;
        const isWell =
          what === 'writes'
            ? (await post(agent, url, n, key).catch(() => undefined))?.status === 202
            : (await get(agent, `${url}${path}`).catch(() => 0)) === 200;
        this.#note(isWell);
        if (what === 'reads' || !isWell) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      agent.destroy();
    });
  }

  /** Ends them; returns the longest time without an answer that was well. */
  async stop(): Promise<number> {
    this.#isOver = true;
    await Promise.all(this.#clients);
    return this.#longestMs;
  }

  #note(isWell: boolean): void {
    if (!isWell) {
      this.failures++;
      return;
    }
    this.answers++;
    const now = performance.now();
    this.#longestMs = Math.max(this.#longestMs, now - this.#lastMs);
    this.#lastMs = now;
  }
}

function post(
  agent: Agent,
  url: string,
  n: number,
  key: string,
): Promise<{ status: number; seq: number }> {
  const body = JSON.stringify({ product_id: `single-${n % 1000}`, price: n / 100, stock: n });
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    'idempotency-key': key,
  };
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/api/v1/events`, { agent, method: 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject).on('end', () => {
        const status = response.statusCode ?? 0;
        resolve({ status, seq: status === 202 ? Number(JSON.parse(text).seq) : 0 });
      });
    });
    sent.on('error', reject).end(body);
  });
}

function get(agent: Agent, url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent }, (response) => {
      response.resume().on('error', reject);
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject).end();
  });
}
