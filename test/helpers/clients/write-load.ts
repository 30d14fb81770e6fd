/**
 * Events of every kind for few products, a third of them late, sent straight to the service's intake;
 * and the model of what they must lead to. Tests only.
 */
import type { Service } from '../../../src/service.ts';
import { bounded } from '../bounded.ts';
import type { PlainEvent } from '../models/plain-event.ts';
import { ProductModel, readProduct } from '../models/product-model.ts';
import { Random } from '../models/random.ts';
import type { ToldChange } from './change-follower.ts';

const WAIT_MS_MAX = 100_000;
const FIRST_AT_MS = 1_767_225_600_000;

export class WriteLoad {
  readonly #service: Service;
  readonly #random: Random;
  readonly #products: number;
  #model = new ProductModel();
  /** Seqs of the events that changed something. */
  #effective = new Set<number>();
  /** The seq of the last event sent, once `send` has resolved. */
  seq = 0;

  constructor(service: Service, seed: number, products: number) {
    this.#service = service;
    this.#random = new Random(seed);
    this.#products = products;
  }

  /** Goes on with the same products on a service that has the same data. */
  on(service: Service, seed = this.seq): WriteLoad {
    const next = new WriteLoad(service, seed, this.#products);
    next.#model = this.#model;
    next.#effective = this.#effective;
    next.seq = this.seq;
    return next;
  }

  /** How many events changed nothing. */
  get stale(): number {
    return this.seq - this.#effective.size;
  }

  get effective(): number {
    return this.#effective.size;
  }

  /** Sends `count` events; resolves when all of them are applied. */
  async send(count: number): Promise<void> {
    const applied = Promise.withResolvers<void>();
    const goal = this.seq + count;
    for (let sent = 0; sent < count; ) {
      const event = this.#event(this.seq + sent + 1);
      const waiter = {
        durable: (seq: number) => {
          if (seq !== event.seq) applied.reject(new Error(`seq ${seq}, not ${event.seq}`));
        },
        conflict: () => applied.reject(new Error('conflict')),
        failed: () => applied.reject(new Error('failed')),
      };
      const answer = this.#offer(event, waiter);
      if (answer === 'queued') {
        sent++;
        this.#model.apply(event, event.seq);
        const product = this.#model.products.get(event.productId);
        if (product?.seq === event.seq) this.#effective.add(event.seq);
        continue;
      }
      if (answer !== 'queue-full') throw new Error(answer);
      // The same event again: what the random numbers gave is kept.
      await new Promise(setImmediate);
    }
    this.#service.whenApplied(goal, applied.resolve);
    await bounded(applied.promise, WAIT_MS_MAX, 'the events to be applied');
    this.seq = goal;
  }

  /** What differs between the last messages of a follower, the store and the model; '' if nothing. */
  difference(last: ReadonlyMap<string, ToldChange>): string {
    for (const [id, { seq, price, stock }] of this.#model.products) {
      const deleted = Number.isNaN(price) && Number.isNaN(stock);
      const expected = { deleted, price: numberOf(price), stock: numberOf(stock), version: seq };
      const stored = readProduct(this.#service.path.store, id);
      if (typeof stored === 'string' || stored.seq !== seq) return `${id}: the model is wrong`;
      const told = last.get(id);
      const found = told && {
        deleted: told.deleted,
        price: told.price,
        stock: told.stock,
        version: told.version,
      };
      if (JSON.stringify(found) !== JSON.stringify(expected)) {
        return `${id}: told ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`;
      }
    }
    return last.size === this.#model.products.size ? '' : `${last.size} products told`;
  }

  /** The first event from `from` on that changed something and is not in `seqs`; '' if none. */
  missing(seqs: ReadonlySet<number>, from = 1): string {
    for (const seq of this.#effective) if (seq >= from && !seqs.has(seq)) return `missed ${seq}`;
    return '';
  }

  #pending: PlainEvent | undefined;

  #offer(event: PlainEvent, waiter: Parameters<Service['path']['intake']['offer']>[1]) {
    const { isDelete = false, key: _, ...rest } = event;
    const answer = this.#service.path.intake.offer({ isDelete, ...rest }, waiter);
    this.#pending = answer === 'queued' ? undefined : event;
    return answer;
  }

  #event(seq: number): PlainEvent {
    if (this.#pending !== undefined) return this.#pending;
    const random = this.#random;
    const lateMs = random.chance(0.3) ? random.below(100_000) : 0;
    const event = {
      seq,
      productId: `é ${random.below(this.#products)}`,
      occurredAtMs: FIRST_AT_MS + seq * 10 - lateMs,
    };
    if (random.chance(0.05))
      return { ...event, isDelete: true, price: undefined, stock: undefined };
    const kind = random.below(4);
    const price = kind === 0 ? undefined : random.below(1e6) / 100;
    const stock = kind === 1 ? undefined : random.below(1000);
    return { ...event, price, stock };
  }
}

function numberOf(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
