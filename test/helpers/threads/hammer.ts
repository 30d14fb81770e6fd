/**
 * A thread that owns a store and hammers it: events whose every field is a function of one number,
 * so that a reader can tell a mix of two from a whole state. Tests only.
 */
import { Worker, workerData } from 'node:worker_threads';
import { SLOT_BYTES, SlotViews } from '../../../src/ring/slot.ts';
import type { ProductState } from '../../../src/store/product-repository.ts';
import { Shard } from '../../../src/store/shard.ts';
import { ShardWriter, UNDO_BYTES } from '../../../src/store/shard-writer.ts';
import { SharedProductStore } from '../../../src/store/shared-product-store.ts';
import { planStore } from '../../../src/store/sizing.ts';
import { putEvent } from '../models/plain-event.ts';

const STOP = 0;
const DONE = 1;
const KEY = { k0: 0x01234567, k1: 0x89abcdef | 0 };

export interface HammerOptions {
  /** Products that are updated in turn. */
  readonly products: number;
  /** Whether each product is only inserted, once, until all are there. */
  readonly inserts: boolean;
}

interface HammerData extends HammerOptions {
  readonly shards: readonly SharedArrayBuffer[];
  readonly control: Int32Array;
}

export function hammerId(n: number): string {
  return `product-${n}`;
}

/** What is wrong with a state as one event's, or ''. */
export function mixed({
  seq,
  price,
  stock,
  priceAtMs,
  stockAtMs,
  updatedAtMs,
}: ProductState): string {
  const whole =
    price === seq * 0.25 &&
    stock === seq * 3 &&
    priceAtMs === seq &&
    stockAtMs === seq &&
    updatedAtMs === seq + 1e12;
  return whole ? '' : JSON.stringify({ seq, price, stock, priceAtMs, stockAtMs, updatedAtMs });
}

export class Hammer {
  readonly store: SharedProductStore;
  readonly shards: readonly Shard[];
  readonly #control = new Int32Array(new SharedArrayBuffer(8));
  readonly #ended: Promise<void>;

  /** Starts the thread; `insertsMax` products fit for certain. */
  constructor(options: HammerOptions) {
    const plan = planStore(Math.max(1 << 16, options.products * 400), 4);
    const shards = Array.from({ length: 4 }, () => Shard.create(plan.shard));
    this.shards = shards;
    this.store = new SharedProductStore(shards, KEY);
    const data: HammerData = {
      ...options,
      shards: shards.map((shard) => shard.buffer),
      control: this.#control,
    };
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    this.#ended = new Promise((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  }

  /** Whether an inserting hammer has inserted everything. */
  get isDone(): boolean {
    return Atomics.load(this.#control, DONE) === 1;
  }

  async stop(): Promise<void> {
    Atomics.store(this.#control, STOP, 1);
    await this.#ended;
  }
}

function hammer({ products, inserts, shards, control }: HammerData): void {
  const slots = new SlotViews(new SharedArrayBuffer(SLOT_BYTES), 0, 1);
  const writer = new ShardWriter(
    shards.map((buffer) => new Shard(buffer)),
    slots,
    new Int32Array(new SharedArrayBuffer(UNDO_BYTES)),
  );
  for (let seq = 1; Atomics.load(control, STOP) === 0; seq++) {
    if (inserts && seq > products) break;
    const productId = hammerId((seq - 1) % products);
    const event = { seq, productId, price: seq * 0.25, stock: seq * 3, occurredAtMs: seq };
    putEvent(slots, 0, event, KEY);
    const result = writer.apply(seq | 0, 0, seq + 1e12);
    if (result !== 'applied') throw new Error(`event ${seq}: ${result}`);
  }
  Atomics.store(control, DONE, 1);
}

if ((workerData as HammerData | null)?.control !== undefined) hammer(workerData);
