/** Looks every few seconds whether the stream has more than is needed, and removes that. Stream's thread. */
import type { NatsConnection } from '@nats-io/transport-node';
import { askInstances } from './instance-state.ts';
import type { StreamApi } from './stream-api.ts';
import { TrimPlan } from './trim-plan.ts';

const LOOK_MS = 5000;

export class StreamTrimmer {
  readonly #connection: NatsConnection;
  readonly #api: StreamApi;
  readonly #who: string;
  readonly #plan: TrimPlan;

  /** For the instance that is called `id`; the others are asked at `who`. */
  constructor(connection: NatsConnection, api: StreamApi, who: string, id: string) {
    this.#connection = connection;
    this.#api = api;
    this.#who = who;
    this.#plan = new TrimPlan(id);
  }

  /** Runs from here on. What fails is tried again at the next look. */
  start(): void {
    let isLooking = false;
    setInterval(() => {
      if (isLooking) return;
      isLooking = true;
      void this.#look()
        .catch(() => undefined)
        .finally(() => {
          isLooking = false;
        });
    }, LOOK_MS);
  }

  async #look(): Promise<void> {
    const { state, config } = await this.#api.info();
    const { bytes, first_seq: first, last_seq: last } = state;
    const fill = { bytes, bytesMax: config.max_bytes, first, last };
    // The plan hears of a stream with room, too: whoever has not listened does not trim.
    const answers = await askInstances(this.#connection, this.#who);
    const begins = this.#plan.begins(fill, answers, performance.now());
    if (begins !== undefined) await this.#api.purge(begins);
  }
}
