/**
 * A thread that owns a store in which products come and go: each is inserted, later delisted and forgotten,
 * and its place freed and given to the next one; some stay for good. Every field of an event is a function
 * of its number (hammer.ts), which says whose it is. Tests only.
 *
 *   event 3k + 1 inserts product k;  3k + 2 delists product k − LIVE, 3k + 3 forgets it, and it is swept
 */
import { Worker, workerData } from 'node:worker_threads';
import { SLOT_BYTES, SlotViews } from '../../../src/ring/slot.ts';
import { ENTRY_WORDS, SHARD_USED, Shard, shardOf } from '../../../src/store/shard.ts';
import { isForgotten } from '../../../src/store/shard-places.ts';
import { ShardWriter, UNDO_BYTES } from '../../../src/store/shard-writer.ts';
import { SharedProductStore } from '../../../src/store/shared-product-store.ts';
import { putEvent } from '../models/plain-event.ts';

const STOP = 0;
const INSERTED = 1;
const KEY = { k0: 0x01234567, k1: 0x89abcdef | 0 };
const SHARDS = 2;
/** Products that are listed at a time, beside those that stay. */
export const LIVE = 400;
export const STAYING = 300;
const SIZE = { cells: 1024, entries: 512 };

interface ChurnData {
  readonly shards: readonly SharedArrayBuffer[];
  readonly churnControl: Int32Array;
}

/** The first STAYING of them stay. */
export function churnId(k: number): string {
  return `product-${k}`;
}

export class Churner {
  readonly store: SharedProductStore;
  readonly shards: readonly Shard[];
  readonly #control = new Int32Array(new SharedArrayBuffer(8));
  readonly #ended: Promise<void>;

  constructor() {
    this.shards = Array.from({ length: SHARDS }, () => Shard.create(SIZE));
    this.store = new SharedProductStore(this.shards, KEY);
    const data: ChurnData = {
      shards: this.shards.map(({ buffer }) => buffer),
      churnControl: this.#control,
    };
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    this.#ended = new Promise((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  }

  /** Products inserted so far. */
  get inserted(): number {
    return Atomics.load(this.#control, INSERTED);
  }

  async stop(): Promise<void> {
    Atomics.store(this.#control, STOP, 1);
    await this.#ended;
  }
}

function churn({ shards: buffers, churnControl }: ChurnData): void {
  const shards = buffers.map((buffer) => new Shard(buffer));
  const slots = new SlotViews(new SharedArrayBuffer(SLOT_BYTES), 0, 1);
  const writer = new ShardWriter(shards, slots, new Int32Array(UNDO_BYTES / 4));
  const apply = (event: Parameters<typeof putEvent>[2], expected: string) => {
    const hash = putEvent(slots, 0, event, KEY);
    const result = writer.apply(event.seq | 0, 0, event.seq + 1e12);
    if (result !== expected) throw new Error(`event ${event.seq}: ${result}, not ${expected}`);
    return shardOf(hash, shards.length);
  };
  const sweep = (index: number) => {
    const shard = shards[index];
    for (let i = 0; i < shard.words[SHARD_USED]; i++) {
      const entry = shard.entriesAt + i * ENTRY_WORDS;
      if (isForgotten(shard, entry)) writer.places.free(index, entry);
    }
  };
  for (let k = 0; Atomics.load(churnControl, STOP) === 0; k++) {
    const seq = 3 * k + 1;
    const fields = { price: seq * 0.25, stock: seq * 3, occurredAtMs: seq };
    apply({ seq, productId: churnId(k), ...fields }, 'applied');
    Atomics.store(churnControl, INSERTED, k + 1);
    const gone = k - LIVE;
    if (gone < STAYING) continue;
    const none = { productId: churnId(gone), price: undefined, stock: undefined };
    apply({ seq: seq + 1, ...none, occurredAtMs: seq + 1, isDelete: true }, 'applied');
    const forget = { isForget: true, expectedSeq: seq + 1 };
    sweep(apply({ seq: seq + 2, ...none, occurredAtMs: 0, ...forget }, 'forgotten'));
  }
}

if ((workerData as ChurnData | null)?.churnControl !== undefined) churn(workerData);
