/**
 * `productsMax` is a promise: so many products fit, whatever their ids, and not one more is let in.
 * Stores of several sizes are filled through the admission until it refuses.
 */
import t from 'tap';
import { SLOT_BYTES, SLOT_ID, SLOT_WORDS, SlotViews } from '../../src/ring/slot.ts';
import { Admission } from '../../src/store/admission.ts';
import { ENTRY_BYTES, SHARD_USED, Shard, shardOf, shardSize } from '../../src/store/shard.ts';
import { ShardWriter, UNDO_BYTES } from '../../src/store/shard-writer.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { planStore, type StorePlan } from '../../src/store/sizing.ts';
import { putEvent } from '../helpers/models/plain-event.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const KB = 1024;
const MB = 1024 * KB;
const SLOTS = 64;

/** Fills a store to the brim; returns how many products it took and what the last answer was. */
function fill(
  plan: StorePlan,
  random: Random,
): { products: number; answer: string; wrong: string } {
  const shards = Array.from({ length: plan.shards }, () => Shard.create(plan.shard));
  const key = { k0: random.word() | 0, k1: random.word() | 0 };
  const slots = new SlotViews(new SharedArrayBuffer(SLOTS * SLOT_BYTES), 0, SLOTS);
  const store = new SharedProductStore(shards, key);
  const writer = new ShardWriter(shards, slots, new Int32Array(UNDO_BYTES / 4));
  const admission = new Admission(shards, plan);
  for (let n = 0; ; n++) {
    const slot = n % SLOTS;
    const productId = `product-${n}`;
    const event = { seq: n + 1, productId, price: n, stock: n, occurredAtMs: n, reserved: true };
    const hash = putEvent(slots, slot, event, key);
    if (store.knows(slots.words, slot * SLOT_WORDS + SLOT_ID, productId.length, hash) !== 'new') {
      return { products: n, answer: '', wrong: `${productId} is there already` };
    }
    const answer = admission.reserve(shardOf(hash, plan.shards));
    if (answer !== 'reserved') return { products: n, answer, wrong: audit(store, shards, n) };
    const result = writer.apply(n | 0, slot, n);
    if (result !== 'applied') return { products: n, answer, wrong: `${productId}: ${result}` };
  }
}

/** What is wrong with a store of the products 0 … `count` − 1, or ''. */
function audit(store: SharedProductStore, shards: readonly Shard[], count: number): string {
  for (let n = 0; n < count; n++) {
    if (store.read(`product-${n}`) !== 'found' || store.state.price !== n)
      return `lost product ${n}`;
  }
  const over = shards.find((shard) => shard.words[SHARD_USED] > shard.entries);
  if (over !== undefined) return 'a shard has more entries than room';
  return store.size === count ? '' : `size ${store.size}`;
}

const seed = testSeed();
const sizes: readonly [number, number][] = [
  [4 * KB, 1],
  [16 * KB, 1],
  [64 * KB, 16],
  [100_000, 7],
  [256 * KB, 16],
  [1 * MB, 16],
  [1 * MB, 100],
  [5_000_000, 3],
  [8 * MB, 1024],
  [32 * MB, 16],
  [64 * MB, 64],
];
for (const [bytes, shards] of sizes) {
  t.test(`${bytes} bytes in ${shards} shards fill up to productsMax (seed ${seed})`, (t) => {
    const plan = planStore(bytes, shards);
    const random = new Random(seed);
    const rounds = plan.productsMax < 10_000 ? 20 : 1;
    t.ok(plan.productsMax > 0, `room for ${plan.productsMax}`);
    for (let round = 0; round < rounds; round++) {
      t.same(fill(plan, random), { products: plan.productsMax, answer: 'full', wrong: '' });
    }
    t.end();
  });
}

t.test('shards take no more memory than they were given', (t) => {
  const random = new Random(seed);
  for (let round = 0; round < 300; round++) {
    const shards = 1 + random.below(64);
    const bytes = shards * (4 * KB + random.below(random.pick([1, 4 * KB, 40 * KB, 4 * MB])));
    const { shard } = planStore(bytes, shards);
    const used = Shard.create(shard).buffer.byteLength * shards;
    if (used > bytes || shard.entries * 2 > shard.cells) {
      t.fail(`${bytes} bytes in ${shards} shards`, { shard, used, seed });
    }
  }
  t.pass();
  t.end();
});

t.test('a shard could not hold more entries with another number of cells', (t) => {
  for (let bytes = 200; bytes < 20_000; bytes += 37) {
    const { entries, cells } = shardSize(bytes);
    let most = 0;
    for (let other = 2; other < bytes; other *= 2) {
      const room = Math.floor((bytes - 128 - other * 4) / ENTRY_BYTES);
      most = Math.max(most, Math.min(room, other / 2));
    }
    if (entries !== most)
      t.fail(`${bytes} bytes: ${entries} entries in ${cells} cells, not ${most}`);
  }
  t.pass();
  t.end();
});

/** ln of the chance that a Poisson number of the given mean is above `limit`, summed term by term. */
function logTail(mean: number, limit: number): number {
  // ln P(k) falls fast above the mean: sum from limit + 1 until nothing is added.
  const logP = (k: number) => -mean + k * Math.log(mean) - logFactorial(k);
  const first = logP(limit + 1);
  let sum = 0;
  for (let k = limit + 1, term = 1; term > 1e-17; k++, term *= mean / k) sum += term;
  return first + Math.log(sum);
}

function logFactorial(n: number): number {
  if (n < 256) {
    let sum = 0;
    for (let k = 2; k <= n; k++) sum += Math.log(k);
    return sum;
  }
  return (n + 0.5) * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * n);
}

t.test('the chance that a shard is full before the store is below 10^-8', (t) => {
  for (const [bytes, shards] of [...sizes, [1024 * MB, 16], [1024 * MB, 1024]] as const) {
    if (shards === 1) continue;
    const plan = planStore(bytes, shards);
    const chance = shards * Math.exp(logTail(plan.productsMax / shards, plan.shard.entries));
    t.ok(chance < 1e-8, `${bytes} bytes in ${shards} shards: ${chance.toExponential(1)}`);
  }
  t.end();
});
