/**
 * The clients of a soak: each of its own kind, each at a steady pace, each with a model of what the service
 * must say. Main thread of the bench.
 *
 * A request that fails in the connection or with a documented 503 is sent again under its key, as a
 * careful client does; any other answer than the expected one is a fault.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { createRandom } from './random.ts';

const RETRY_MS = 50;
const TRIES_MAX = 200;
const RETRY_STATUSES: readonly number[] = [429, 503];

/** A product as the service shows it; null = not known. */
export interface State {
  readonly price: number | null;
  readonly stock: number | null;
}

/** Listed products, by id. */
export type Model = Map<string, State>;

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** What the clients have seen together. */
export class SoakTally {
  /** Answers by status, refusals by the problem's code too. */
  readonly answers = new Map<string, number>();
  readonly faults: string[] = [];
  events = 0;
  reads = 0;
  changes = 0;
  reconnects = 0;
  retries = 0;
  isOver = false;

  note({ status, text }: Answer): void {
    const code = status >= 500 ? ` ${JSON.parse(text).code}` : '';
    const name = `${status}${code}`;
    this.answers.set(name, (this.answers.get(name) ?? 0) + 1);
  }

  fault(what: string): void {
    if (this.faults.length < 20) this.faults.push(what);
  }
}

export class SoakClient {
  readonly #url: string;
  readonly #tally: SoakTally;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });

  constructor(url: string, tally: SoakTally) {
    this.#url = url;
    this.#tally = tally;
  }

  /** Sends until an answer comes that is no reason to try again. */
  async send(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders = {},
    body?: string,
  ): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      const answer = await this.#once(method, path, headers, body).catch(() => undefined);
      if (answer !== undefined) {
        this.#tally.note(answer);
        if (!RETRY_STATUSES.includes(answer.status)) return answer;
      }
      if (tries === TRIES_MAX) throw new Error(`${method} ${path} failed ${tries} times`);
      this.#tally.retries++;
      await pause(RETRY_MS);
    }
  }

  /** The events of the change feed behind `since`, or from now on; until `onMessage` returns false. */
  async follow(
    since: number | undefined,
    onMessage: (message: EventSourceMessage) => boolean,
  ): Promise<void> {
    const place = since === undefined ? {} : { 'last-event-id': String(since) };
    const headers = { accept: 'text/event-stream', ...place };
    const outgoing = request(`${this.#url}/api/v1/changes`, { agent: false, headers });
    const [response] = (await once(outgoing.end(), 'response')) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`the feed answers ${response.statusCode}`);
    let wantsMore = true;
    const parser = createParser({
      onEvent: (message) => {
        wantsMore = onMessage(message) && wantsMore;
      },
    });
    response.setEncoding('utf8');
    for await (const text of response) {
      parser.feed(text as string);
      if (!wantsMore) break;
    }
    outgoing.destroy();
  }

  close(): void {
    this.#agent.destroy();
  }

  async #once(method: string, path: string, headers: OutgoingHttpHeaders, body?: string) {
    const outgoing = request(`${this.#url}${path}`, { method, headers, agent: this.#agent });
    const [response] = (await once(outgoing.end(body), 'response')) as [IncomingMessage];
    let text = '';
    response.setEncoding('utf8');
    for await (const part of response) text += part;
    return { status: response.statusCode as number, text };
  }
}

/** Calls `step` every `everyMs` until the soak is over; what comes late is not made up for. */
async function paced(tally: SoakTally, everyMs: number, step: (n: number) => Promise<void>) {
  for (let n = 0; !tally.isOver; n++) {
    const startMs = performance.now();
    await step(n);
    const waitMs = startMs + everyMs - performance.now();
    if (waitMs > 0) await pause(waitMs);
  }
}

/** Sends batches of `lines` events for products of its own, each under a key. */
export async function importOn(
  client: SoakClient,
  tally: SoakTally,
  model: Model,
  { products, lines, everyMs }: { products: number; lines: number; everyMs: number },
): Promise<void> {
  const random = createRandom(1);
  await paced(tally, everyMs, async (n) => {
    const body = Array.from({ length: lines }, () => {
      const id = `bulk-${random() % products}`;
      const state = { price: (random() % 1_000_000) / 100, stock: random() % 50_000 };
      model.set(id, state);
      return `{"product_id":"${id}","price":${state.price},"stock":${state.stock}}\n`;
    }).join('');
    const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': `batch-${n}` };
    const { status, text } = await client.send('POST', '/api/v1/events/batch', headers, body);
    if (status !== 202 || JSON.parse(text).accepted !== lines)
      tally.fault(`batch: ${status} ${text}`);
    tally.events += lines;
  });
}

/** Sets, changes and delists products of its own, one request after the other. */
export async function writeOn(
  client: SoakClient,
  tally: SoakTally,
  model: Model,
  { writer, products, everyMs }: { writer: number; products: number; everyMs: number },
): Promise<void> {
  const random = createRandom(100 + writer);
  await paced(tally, everyMs, async (n) => {
    const id = `single-${writer}-${random() % products}`;
    const price = (random() % 1_000_000) / 100;
    const stock = random() % 50_000;
    const headers = { 'content-type': 'application/json', 'idempotency-key': `${writer}-${n}` };
    const known = model.get(id);
    let answer: Answer;
    if (known !== undefined && n % 10 === 3) {
      const patch = JSON.stringify({ price });
      answer = await client.send('PATCH', `/api/v1/products/${id}`, headers, patch);
      model.set(id, { ...known, price });
    } else if (known !== undefined && n % 50 === 7) {
      const { 'idempotency-key': key } = headers;
      answer = await client.send('DELETE', `/api/v1/products/${id}`, { 'idempotency-key': key });
      model.delete(id);
    } else {
      const event = JSON.stringify({ product_id: id, price, stock });
      answer = await client.send('POST', '/api/v1/events', headers, event);
      model.set(id, { price, stock });
    }
    if (answer.status !== 202) tally.fault(`${id}: ${answer.status} ${answer.text}`);
    tally.events++;
  });
}

/** Reads single products and pages. */
export async function readOn(
  client: SoakClient,
  tally: SoakTally,
  { reader, products, everyMs }: { reader: number; products: number; everyMs: number },
): Promise<void> {
  const random = createRandom(200 + reader);
  await paced(tally, everyMs, async (n) => {
    const id = `bulk-${random() % products}`;
    const isPage = n % 20 === 0;
    const path = isPage ? '/api/v1/products?limit=100' : `/api/v1/products/${id}`;
    const { status, text } = await client.send('GET', path);
    if (status === 200 ? !(isPage || JSON.parse(text).id === id) : status !== 404) {
      tally.fault(`${path}: ${status} ${text.slice(0, 200)}`);
    }
    tally.reads++;
  });
}

/** The product whose change is the last of a soak. */
export const LAST_ID = 'last';

/** Follows the changes and keeps what they say, until `LAST_ID` comes; goes on where it was cut off. */
export async function followOn(client: SoakClient, tally: SoakTally, seen: Model): Promise<void> {
  let place = 0;
  while (!seen.has(LAST_ID)) {
    const end = client.follow(place, ({ id, event, data }) => {
      if (event === 'reset') tally.fault('the feed was reset');
      if (event === undefined) {
        const { product_id, deleted, price, stock } = JSON.parse(data);
        if (deleted) seen.delete(product_id);
        else seen.set(product_id, { price, stock });
        tally.changes++;
      }
      if (id !== undefined) place = Number(id);
      return !seen.has(LAST_ID);
    });
    await end.catch(() => undefined);
    if (seen.has(LAST_ID)) return;
    tally.reconnects++;
    await pause(RETRY_MS);
  }
}

/** Follows the changes and only reads them, until the soak is over. */
export async function drainOn(client: SoakClient, tally: SoakTally): Promise<void> {
  while (!tally.isOver) {
    await client.follow(undefined, () => !tally.isOver).catch(() => undefined);
    if (!tally.isOver) await pause(RETRY_MS);
  }
}
