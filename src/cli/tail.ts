/**
 * `tail`: follows the change feed until it is interrupted. A stream that ends, a service that restarts and a
 * network that breaks are waited for; it goes on behind the last change that was printed, so none is
 * missing and none comes twice. What is no change is said on standard error. Main thread.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { type CommandContext, countOf, EXIT_DONE, hasFlag } from './command.ts';
import { Refused, ServiceClient, Unreachable, unreachable } from './service-client.ts';
import { styled } from './terminal.ts';

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 10_000;

interface Change {
  readonly seq: number;
  readonly product_id: string;
  readonly changed: readonly string[];
  readonly occurred_at: string;
  readonly deleted: boolean;
  readonly price: number | null;
  readonly stock: number | null;
}

export async function run({ values, environment }: CommandContext): Promise<number> {
  const client = ServiceClient.from(values, environment);
  const tail = new Tail(client, {
    isJson: hasFlag(values, 'json'),
    since: countOf(values, 'since'),
    count: countOf(values, 'count') ?? Number.POSITIVE_INFINITY,
  });
  await tail.follow();
  client.close();
  return EXIT_DONE;
}

interface TailOptions {
  readonly isJson: boolean;
  /** Begins behind that event; `undefined` = now. */
  readonly since: number | undefined;
  /** How many changes are wanted. */
  readonly count: number;
}

class Tail {
  readonly #client: ServiceClient;
  readonly #isJson: boolean;
  /** Changes that are still to be printed. */
  #left: number;
  /** The last event that is dealt with; `undefined` = from now on. */
  #since: number | undefined;
  #retryMs = RETRY_MS_MIN;
  #isCutOff = false;
  /** Whether this connection has had an event; the service begins each with one. */
  #hasHeard = false;

  constructor(client: ServiceClient, { isJson, since, count }: TailOptions) {
    this.#client = client;
    this.#isJson = isJson;
    this.#since = since;
    this.#left = count;
  }

  /** Resolves after as many changes as are wanted; rejects when the service refuses for good. */
  async follow(): Promise<void> {
    while (this.#left > 0) {
      try {
        await this.#stream();
        if (this.#left === 0) return;
      } catch (error) {
        const isPassing =
          error instanceof Unreachable || (error instanceof Refused && error.status >= 500);
        if (!isPassing) throw error;
        if (!this.#isCutOff) note(`${error.message}; trying again`);
        this.#isCutOff = true;
      }
      await pause(this.#retryMs);
      this.#retryMs = Math.min(RETRY_MS_MAX, 2 * this.#retryMs);
    }
  }

  async #stream(): Promise<void> {
    const query = this.#since === undefined ? '' : `?since=${this.#since}`;
    const stream = await this.#client.open({
      path: `/api/v1/changes${query}`,
      accept: 'text/event-stream',
    });
    this.#hasHeard = false;
    const parser = createParser({ onEvent: (message) => this.#message(message) });
    try {
      for await (const text of stream.setEncoding('utf8')) {
        parser.feed(text);
        if (this.#left === 0) return;
        if (process.stdout.writableNeedDrain) await drained();
      }
    } catch (error) {
      throw unreachable(this.#client.url, error instanceof Error ? error : new Error('cut off'));
    }
    if (!this.#hasHeard) throw unreachable(this.#client.url, new Error('the stream has no events'));
  }

  #message({ event, data, id }: EventSourceMessage): void {
    this.#retryMs = RETRY_MS_MIN;
    this.#hasHeard = true;
    if (this.#isCutOff) note('connected again');
    this.#isCutOff = false;
    if (this.#left === 0) return;
    if (event === undefined || event === 'message') this.#print(data);
    else if (event === 'reset') {
      note(
        this.#since === undefined
          ? 'the change feed begins anew'
          : `the log does not reach back to ${this.#since}: changes are missing here; product-service export has all products`,
      );
    } else if (event !== 'position') note(`the service ended the stream: ${event}`);
    if (id !== undefined && id !== '') this.#since = Number(id);
  }

  #print(data: string): void {
    this.#left--;
    if (this.#isJson) {
      process.stdout.write(`${data}\n`);
      return;
    }
    const { seq, product_id, changed, occurred_at, deleted, price, stock } = JSON.parse(
      data,
    ) as Change;
    const field = (name: 'price' | 'stock', value: number | null) => {
      const text = `${name} ${value ?? '–'}`;
      return changed.includes(name) ? styled('bold', text, process.stdout) : text;
    };
    const state = deleted
      ? styled('red', 'delisted', process.stdout)
      : `${field('price', price)}  ${field('stock', stock)}`;
    process.stdout.write(`${seq}  ${occurred_at}  ${shown(product_id)}  ${state}\n`);
  }
}

/** An id as it may be shown in a terminal: without what moves the cursor or turns the line around. */
function shown(id: string): string {
  const escaped = id.replaceAll(/[\p{C}\p{Z}]/gu, (character) =>
    character === ' ' ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
  return escaped === id && !id.includes(' ') ? id : `"${escaped}"`;
}

function note(text: string): void {
  process.stderr.write(`product-service: ${text}\n`);
}

function drained(): Promise<void> {
  return new Promise((resolve) => process.stdout.once('drain', resolve));
}
