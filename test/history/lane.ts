/**
 * A client with one product that remembers what it was told: sends each event until it is acknowledged, under its own
 * key, at moments in any order and each once, and with prices that often stay. Tests only.
 */
import { ApiClient, seqOf } from '../helpers/clients/api-client.ts';
import { Random } from '../helpers/models/random.ts';

const START_MS = Date.UTC(2026, 0, 1);
const SPAN_MS = 1_000_000_000;
const PRICES = 3;

/** What an event said, and its number. */
export interface Told {
  readonly atMs: number;
  readonly price: number;
  readonly seq: number;
}

export class Lane {
  readonly id: string;
  readonly told: Told[] = [];
  readonly #random: Random;
  readonly #moments = new Set<number>();
  /** Sent, perhaps, and not acknowledged. */
  #open: Pick<Told, 'atMs' | 'price'> | undefined;

  constructor(index: number, seed: number) {
    this.id = `lane-${index}`;
    this.#random = new Random(seed + index);
  }

  /**
   * Sends events, the one that is open first, until one is acknowledged and `goesOn` says no, or the connection
   * breaks.
   */
  async run(port: number, goesOn: () => boolean): Promise<void> {
    const client = new ApiClient(port);
    try {
      do await this.#send(client);
      while (goesOn());
    } catch (error) {
      // The system's: the connection.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    } finally {
      client.close();
    }
  }

  async #send(client: ApiClient): Promise<void> {
    this.#open ??= { atMs: this.#moment(), price: this.#random.below(PRICES) };
    const { atMs, price } = this.#open;
    const event_id = `${this.id}/${atMs}`;
    const body = { product_id: this.id, price, stock: 1, occurred_at: atMs, event_id };
    for (;;) {
      const answer = await client.post(body);
      if (answer.status !== 202) continue;
      this.told.push({ atMs, price, seq: seqOf(answer) });
      this.#open = undefined;
      return;
    }
  }

  #moment(): number {
    for (;;) {
      const atMs = START_MS + this.#random.below(SPAN_MS);
      if (this.#moments.has(atMs)) continue;
      this.#moments.add(atMs);
      return atMs;
    }
  }
}
