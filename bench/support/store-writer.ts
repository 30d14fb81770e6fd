/**
 * A thread that writes to the store as fast as it can while it is asked to, for bench/store.bench.ts.
 * It owns the shards that it is given. Thin: the work is in store-fill.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Shard } from '../../src/store/shard.ts';
import type { HashKey } from '../../src/threads/shared-memory.ts';
import { StoreFill } from './store-fill.ts';

/** The words of the control buffer; the bench writes the state, the thread the count. */
export const WRITER_STATE = 0;
export const WRITER_UPDATES = 1;
export const PAUSED = 0;
export const WRITING = 1;
export const ENDED = 2;

export interface StoreWriterData {
  readonly shards: readonly SharedArrayBuffer[];
  readonly hashKey: HashKey;
  readonly ids: readonly string[];
  /** Two Int32: state, updates made (modulo 2^32). */
  readonly control: SharedArrayBuffer;
}

const UPDATES_PER_LOOK = 1000;
/** Spreads the updates over all products: a prime, so that every one has its turn. */
const STRIDE = 7919;

function run({ shards, hashKey, ids, control }: StoreWriterData): void {
  const words = new Int32Array(control);
  const views = shards.map((buffer) => new Shard(buffer));
  const fill = new StoreFill(views, hashKey, ids.length);
  fill.prepare(ids);
  // The first round brings every product in.
  for (let i = 0; i < ids.length; i++) fill.update(i);
  parentPort?.postMessage('filled');
  let at = 0;
  for (;;) {
    const state = Atomics.load(words, WRITER_STATE);
    if (state === ENDED) return;
    if (state === PAUSED) {
      Atomics.wait(words, WRITER_STATE, PAUSED);
      continue;
    }
    for (let i = 0; i < UPDATES_PER_LOOK; i++) {
      at = (at + STRIDE) % ids.length;
      fill.update(at);
    }
    Atomics.add(words, WRITER_UPDATES, UPDATES_PER_LOOK);
  }
}

if (parentPort !== null) run(workerData as StoreWriterData);
