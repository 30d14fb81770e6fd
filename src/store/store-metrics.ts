/** The metrics of the store. Main thread. */
import type { MetricsRegistry } from '../metrics/registry.ts';
import { Shard } from './shard.ts';
import type { StorePlan } from './sizing.ts';

/** How full the store is, or the fullest of its shards if that is more. */
export function fillOf(shards: readonly Shard[], productsMax: number): number {
  const counts = shards.map(({ taken }) => taken);
  const fills = counts.map((count, i) => count / shards[i].entries);
  return Math.max(counts.reduce((all, count) => all + count, 0) / productsMax, ...fills);
}

export function storeMetrics(
  metrics: MetricsRegistry,
  buffers: readonly SharedArrayBuffer[],
  plan: StorePlan,
): void {
  const shards = buffers.map((buffer) => new Shard(buffer));
  const used = () => shards.map(({ taken }) => taken);
  const sum = (counts: readonly number[]) => counts.reduce((all, count) => all + count, 0);
  metrics.gauge(
    {
      name: 'product_service_store_products',
      help: 'Products in the store, those that are not listed any more included',
    },
    (put) => put(sum(used())),
  );
  metrics.gauge(
    {
      name: 'product_service_store_capacity_products',
      help: 'Products that the store takes, by MAX_MEMORY_USAGE',
    },
    (put) => put(plan.productsMax),
  );
  metrics.gauge(
    {
      name: 'product_service_store_fill_ratio',
      help: 'How full the store is, or the fullest of its shards if that is more; at 1 new products are refused',
    },
    (put) => {
      put(fillOf(shards, plan.productsMax));
    },
  );
  metrics.gauge(
    { name: 'product_service_store_bytes', help: 'Memory of the store, which never changes' },
    (put) => put(sum(buffers.map(({ byteLength }) => byteLength))),
  );
}
