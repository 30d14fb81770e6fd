/**
 * The EventSource clients that people install, in one form, and what each was told. They reconnect by
 * themselves or not at all: nothing here does it for them. Tests only.
 */
import { EventSource } from 'eventsource';
import { createEventSource } from 'eventsource-client';
import type { Test } from 'tap';
import { EventSource as UndiciEventSource } from 'undici';
import type { ToldChange } from './change-follower.ts';

const NAMES = ['position', 'reset', 'stopping', 'dropped', 'failed', 'too-many-followers'] as const;
type Name = (typeof NAMES)[number];

export class Told {
  /** The last message of each product. */
  readonly last = new Map<string, ToldChange>();
  readonly seqs = new Set<number>();
  /** The events with a name, in order. */
  readonly events: { readonly name: Name; readonly seq: number | null }[] = [];
  /** What the client can't have: data that isn't JSON, an end for good. */
  readonly faults: string[] = [];
  #looks = new Set<() => void>();

  take(name: string, data: string): void {
    try {
      const value = JSON.parse(data);
      if (name === 'message') {
        this.seqs.add(value.seq);
        this.last.set(value.product_id, value);
      } else {
        this.events.push({ name: name as Name, seq: value.seq });
      }
    } catch (error) {
      this.faults.push(`${name} ${JSON.stringify(data)}: ${error}`);
    }
    for (const look of this.#looks) look();
  }

  /** Resolves once `isDone` holds. */
  until(isDone: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!isDone()) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }

  has(name: Name): boolean {
    return this.events.some((event) => event.name === name);
  }
}

type Connect = (url: string, told: Told) => () => void;

/** Each closes what it returns at the end; a client that gave up says so in `faults`. */
const CLIENTS: Readonly<Record<string, Connect>> = {
  'npm eventsource': (url, told) => listen(new EventSource(url), told),
  undici: (url, told) => listen(new UndiciEventSource(url), told),
  'npm eventsource-client': (url, told) => {
    const client = createEventSource({
      url,
      onMessage: ({ event, data }) => told.take(event ?? 'message', data),
    });
    return () => client.close();
  },
};

function listen(source: EventSource | UndiciEventSource, told: Told): () => void {
  const on = source.addEventListener.bind(source) as (
    name: string,
    listener: (event: { readonly data?: string }) => void,
  ) => void;
  for (const name of ['message', ...NAMES]) on(name, ({ data = '' }) => told.take(name, data));
  on('error', () => {
    if (source.readyState === source.CLOSED) told.faults.push('gave up');
  });
  return () => source.close();
}

export const CLIENT_NAMES: readonly string[] = Object.keys(CLIENTS);

/** Starts the client `name` on `url`; closed when the test is done. */
export function startClient(t: Test, name: string, url: string): { told: Told; close: () => void } {
  const told = new Told();
  const close = CLIENTS[name](url, told);
  t.teardown(close);
  return { told, close };
}
