/** Histories of a cluster that keeps its promises: one log, instances that are behind it, clients. Seeded. Tests only. */
import type { Random } from '../models/random.ts';
import type { ClientHistory, Fields, Read, State, Write } from './client-history.ts';

const INSTANCES = ['a', 'b', 'c'];
const PRODUCTS = ['timed-1', 'timed-2', 'arriving-1', 'arriving-2'];

/** Some of its writes were never acknowledged; of those some are in the log. */
export function simulatedHistory(random: Random, steps: number): ClientHistory {
  const log: Write[] = [];
  const writes: Write[] = [];
  const reads: Read[] = [];
  const at = new Map(INSTANCES.map((name) => [name, 0]));
  let nowMs = 1000;
  let value = 0;
  const readAt = (instance: string, product: string, minSeq: number): Read => {
    const position = Math.max(at.get(instance) ?? 0, minSeq);
    at.set(instance, position);
    const startMs = nowMs++;
    const found = stateAt(log.slice(0, position), log, product);
    return { product, instance, minSeq, startMs, endMs: nowMs++, found };
  };
  for (let step = 0; step < steps; step++) {
    nowMs += random.below(5);
    const product = random.pick(PRODUCTS);
    const instance = random.pick(INSTANCES);
    if (random.chance(0.5)) {
      const write: Write = {
        product,
        key: `k${step}`,
        fields: randomFields(random, ++value),
        occurredAtMs: product.startsWith('timed') ? 1000 + random.below(20) : undefined,
        startMs: nowMs++,
        endMs: nowMs++,
        seqs: [],
      };
      writes.push(write);
      if (random.chance(0.1)) {
        if (random.chance(0.5)) log.push(write);
        continue;
      }
      log.push(write);
      write.seqs.push(log.length);
      if (random.chance(0.2)) write.seqs.push(log.length);
    } else {
      const position = at.get(instance) ?? 0;
      at.set(instance, position + random.below(log.length - position + 1));
      const minSeq = random.chance(0.5) ? random.below(log.length + 1) : 0;
      reads.push(readAt(instance, product, minSeq));
    }
  }
  const last = INSTANCES.flatMap((name) => PRODUCTS.map((id) => readAt(name, id, log.length)));
  return { writes, reads, last };
}

export function randomFields(random: Random, value: number): Fields {
  const dice = random.below(4);
  if (dice === 0) return { price: value };
  if (dice === 1) return { stock: value };
  return { price: value, stock: value };
}

/** A product's state as `prefix`, the beginning of `log`, makes it. */
function stateAt(
  prefix: readonly Write[],
  log: readonly Write[],
  product: string,
): State | undefined {
  const state: { price: number | null; stock: number | null; version: number } = {
    ...{ price: null, stock: null, version: 0 },
  };
  const since = { price: Number.NEGATIVE_INFINITY, stock: Number.NEGATIVE_INFINITY };
  for (const write of prefix) {
    if (write.product !== product) continue;
    const seq = log.indexOf(write) + 1;
    const time = write.occurredAtMs ?? seq;
    for (const field of ['price', 'stock'] as const) {
      const value = write.fields[field];
      if (value === undefined || time < since[field]) continue;
      state[field] = value;
      since[field] = time;
      state.version = seq;
    }
  }
  return state.version === 0 ? undefined : state;
}
