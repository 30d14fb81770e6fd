/**
 * The store: reads by key beside a Map of the same products, and the memory it takes.
 *
 *   this thread                       1 writer thread (paused, or updating all the time)
 *   read(key) ─Atomics─▶ shards ◀─────  ShardWriter
 *   Map.get(key) ─▶ Map
 *
 * Every state read is checked: price and stock belong together, so half an update would be seen.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Shard } from '../src/store/shard.ts';
import { SharedProductStore } from '../src/store/shared-product-store.ts';
import { planStore, type StorePlan } from '../src/store/sizing.ts';
import type { HashKey } from '../src/threads/shared-memory.ts';
import { createRandom } from './support/random.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { StoreFill, stockAt } from './support/store-fill.ts';
import {
  ENDED,
  PAUSED,
  type StoreWriterData,
  WRITER_STATE,
  WRITER_UPDATES,
  WRITING,
} from './support/store-writer.ts';

const SEED = 4_711;
const SHARDS = 16;
const DEFAULT_STORE_BYTES = 2 ** 30;
const BYTES_PER_PRODUCT_WANTED = 160;
const FILL_CHUNK = 1000;

const SIZES = {
  full: { products: 200_000, rounds: 9, memoryProducts: 1_000_000 },
  smoke: { products: 5_000, rounds: 2, memoryProducts: 20_000 },
} as const;

const HASH_KEY: HashKey = { k0: 0x01234567, k1: 0x89abcdef | 0 };

interface Product {
  readonly price: number;
  readonly stock: number;
}

function idOf(product: number): string {
  return `SKU-${String(product).padStart(10, '0')}`;
}

/** The smallest plan with room for `products`. */
function planFor(products: number): StorePlan {
  const MB = 2 ** 20;
  let bytes = Math.ceil((products * 128) / MB) * MB;
  while (planStore(bytes, SHARDS).productsMax < products) bytes += MB;
  return planStore(bytes, SHARDS);
}

function createShards(plan: StorePlan): Shard[] {
  return Array.from({ length: plan.shards }, () => Shard.create(plan.shard));
}

/** Fills new `shards` with `products` products and returns the resident bytes that this adds. */
function residentBytes(shards: readonly Shard[], products: number): number {
  const before = process.memoryUsage.rss();
  const fill = new StoreFill(shards, HASH_KEY, FILL_CHUNK);
  for (let from = 0; from < products; from += FILL_CHUNK) {
    const count = Math.min(FILL_CHUNK, products - from);
    fill.prepare(Array.from({ length: count }, (_, i) => idOf(from + i)));
    for (let i = 0; i < count; i++) fill.update(i);
  }
  const bytes = process.memoryUsage.rss() - before;
  const store = new SharedProductStore(shards, HASH_KEY);
  if (store.size !== products) throw new Error(`${store.size} products, expected ${products}`);
  return bytes;
}

/** All ids in random order: the strings of a map's own keys, or fresh ones as requests bring them. */
function shuffled(ids: readonly string[], random: () => number, areFresh: boolean): string[] {
  const keys = [...ids];
  for (let i = keys.length - 1; i > 0; i--) {
    const j = random() % (i + 1);
    [keys[i], keys[j]] = [keys[j], keys[i]];
  }
  return areFresh ? JSON.parse(JSON.stringify(keys)) : keys;
}

/** Reads all `keys` from the map; returns reads per second. */
function readMap(map: ReadonlyMap<string, Product>, keys: readonly string[]): number {
  const startMs = performance.now();
  for (const key of keys) {
    const product = map.get(key);
    if (product === undefined || product.stock !== stockAt(product.price)) {
      throw new Error(`the map has ${key} wrong`);
    }
  }
  return (keys.length * 1000) / (performance.now() - startMs);
}

/** Reads all `keys` from the store; returns reads per second. */
function readStore(store: SharedProductStore, keys: readonly string[]): number {
  const { state } = store;
  const startMs = performance.now();
  for (const key of keys) {
    let result = store.read(key);
    // Its writer was preempted in the middle: rare, and over when it runs again.
    while (result === 'busy') result = store.read(key);
    if (result !== 'found' || state.stock !== stockAt(state.price)) {
      throw new Error(`${key} is ${result}: ${state.price} × ${state.stock}`);
    }
  }
  return (keys.length * 1000) / (performance.now() - startMs);
}

interface ReadFigures {
  readonly series: readonly { readonly name: string; readonly perSecond: number[] }[];
  readonly updatesPerSecond: number;
}

async function measureReads(size: BenchSize): Promise<ReadFigures> {
  const { products, rounds } = SIZES[size];
  const ids = shuffled(
    Array.from({ length: products }, (_, i) => idOf(i)),
    () => 0,
    true,
  );
  const shards = createShards(planFor(products));
  const store = new SharedProductStore(shards, HASH_KEY);
  const map = new Map(ids.map((id, i) => [id, { price: i, stock: stockAt(i) }]));
  const control = new Int32Array(new SharedArrayBuffer(8));
  const workerData: StoreWriterData = {
    shards: shards.map((shard) => shard.buffer),
    hashKey: HASH_KEY,
    ids,
    control: control.buffer as SharedArrayBuffer,
  };
  const writer = new Worker(new URL('support/store-writer.ts', import.meta.url), { workerData });
  await once(writer, 'message');
  const tell = (state: number) => {
    Atomics.store(control, WRITER_STATE, state);
    Atomics.notify(control, WRITER_STATE);
  };

  const random = createRandom(SEED);
  const series = ['own keys', 'fresh keys'].map((kind) => ({
    map: { name: `Map.get, ${kind}`, perSecond: [] as number[] },
    still: { name: `store.read, ${kind}`, perSecond: [] as number[] },
    hammered: { name: `store.read, ${kind}, writer running`, perSecond: [] as number[] },
  }));
  let updates = 0;
  let writingMs = 0;
  // The first round warms up and is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const [i, { map: ofMap, still, hammered }] of series.entries()) {
      const keys = () => shuffled(ids, random, i === 1);
      const mapKeys = keys();
      const stillKeys = keys();
      const hammeredKeys = keys();
      const figures = [readMap(map, mapKeys), readStore(store, stillKeys)];
      const updatesBefore = Atomics.load(control, WRITER_UPDATES);
      const startMs = performance.now();
      tell(WRITING);
      figures.push(readStore(store, hammeredKeys));
      writingMs += performance.now() - startMs;
      tell(PAUSED);
      updates += (Atomics.load(control, WRITER_UPDATES) - updatesBefore) | 0;
      if (round === 0) continue;
      for (const [j, one] of [ofMap, still, hammered].entries()) one.perSecond.push(figures[j]);
    }
  }
  tell(ENDED);
  await once(writer, 'exit');
  if (updates === 0) throw new Error('the writer did not write');
  return {
    series: series.flatMap((one) => [one.map, one.still, one.hammered]),
    updatesPerSecond: (updates * 1000) / writingMs,
  };
}

async function bench(size: BenchSize): Promise<Report> {
  const { products, rounds, memoryProducts } = SIZES[size];
  const sized = planFor(memoryProducts);
  const standard = planStore(DEFAULT_STORE_BYTES, SHARDS);
  // Brings code and heap to their size; held to the end, so that nothing is freed meanwhile.
  const warmUp = createShards(sized);
  residentBytes(warmUp, memoryProducts / 2);
  const memory = [sized, standard].map((plan) => ({
    plan,
    bytesPerProduct: residentBytes(createShards(plan), memoryProducts) / memoryProducts,
  }));
  if (warmUp.length !== SHARDS) throw new Error('the warm-up store is gone');
  const { series, updatesPerSecond } = await measureReads(size);
  const ofMap = (i: number) => series[i - (i % 3)].perSecond;
  return {
    name: 'Store: reads and memory',
    conditions: [
      `${rounds} rounds of ${figure(products)} reads each way, in turns, every product once in random order, seed ${SEED}; medians`,
      `"own keys" are the map's own strings, whose hash V8 has stored; "fresh keys" are new strings, as requests bring them`,
      `the running writer made ${figure(updatesPerSecond)} updates/s to the same products`,
    ],
    tables: [
      {
        title: 'Reads by key, one thread',
        columns: ['what', 'reads/s', 'ratio to Map.get'],
        rows: series.map(({ name, perSecond }, i) => [
          name,
          figure(median(perSecond)),
          median(perSecond.map((one, round) => one / ofMap(i)[round])).toFixed(3),
        ]),
      },
      {
        title: `Resident memory with ${figure(memoryProducts)} products`,
        columns: ['store with room for', 'index bytes', 'resident bytes per product'],
        rows: memory.map(({ plan, bytesPerProduct }) => [
          figure(plan.productsMax),
          figure(plan.shard.cells * 4 * plan.shards),
          figure(bytesPerProduct),
        ]),
      },
    ],
    aims: [
      {
        what: 'resident bytes per product, store sized for them',
        measured: memory[0].bytesPerProduct,
        wanted: BYTES_PER_PRODUCT_WANTED,
        better: 'lower',
        unit: 'B',
      },
    ],
    notes: [
      'An entry takes 128 bytes and becomes resident when it is first written. The index is sized for a full store and becomes resident as a whole soon, because ids spread over it: a store with much spare room costs more for each product that it has, and never more in all than MAX_MEMORY_USAGE.',
    ],
  };
}

await runBench(bench);
