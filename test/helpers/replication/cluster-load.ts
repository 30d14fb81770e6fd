/** Clients that write through any instance and retry by key until they have an answer. Tests only. */
import type { Random } from '../models/random.ts';
import type { InstanceUnderTest } from './cluster-under-test.ts';

const ANSWER_MS_MAX = 8000;
const PAUSE_MS = 20;

export class ClusterLoad {
  /** What was acknowledged, by its price, which no other event has. */
  readonly acknowledged = new Map<number, { readonly seq: number }>();
  retries = 0;
  readonly #instances: () => readonly InstanceUnderTest[];
  readonly #random: Random;
  #isStopping = false;
  #isAbandoned = false;
  #clients: Promise<void>[] = [];
  #price = 0;

  constructor(instances: () => readonly InstanceUnderTest[], random: Random) {
    this.#instances = instances;
    this.#random = random;
  }

  start(clients: number): void {
    this.#clients = Array.from({ length: clients }, (_, i) => this.#client(`p${i}`));
  }

  /** Each client ends when its last event is acknowledged. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#clients);
  }

  /** Each client ends at once, for a test that failed: nobody answers any more. */
  async abandon(): Promise<void> {
    this.#isAbandoned = true;
    await this.stop();
  }

  async #client(productId: string): Promise<void> {
    while (!this.#isStopping) {
      const price = ++this.#price;
      while (!this.#isAbandoned) {
        const seq = await this.#try(productId, price);
        if (seq !== undefined) {
          this.acknowledged.set(price, { seq });
          break;
        }
        this.retries++;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  async #try(productId: string, price: number): Promise<number | undefined> {
    const event = { product_id: productId, price, stock: 1 };
    const headers = { 'idempotency-key': `key-${price}` };
    try {
      const signal = AbortSignal.timeout(ANSWER_MS_MAX);
      const { status, body } = await this.#random
        .pick(this.#instances())
        .post(event, headers, '', signal);
      return status === 202 ? Number(body.seq) : undefined;
    } catch {
      return undefined;
    }
  }
}
