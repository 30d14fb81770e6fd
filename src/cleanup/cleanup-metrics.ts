/** The metrics of the cleanup. Main thread. */
import type { MetricsRegistry } from '../metrics/registry.ts';
import { ApplierCounters } from '../metrics/thread-counters.ts';
import type { Cleanup } from './cleanup.ts';

export function cleanupMetrics(
  metrics: MetricsRegistry,
  cleanup: Pick<Cleanup, 'waiting'>,
  counters: SharedArrayBuffer,
  appliers: number,
): void {
  const each = Array.from({ length: appliers }, (_, i) => new ApplierCounters(counters, i));
  const sum = (of: (counters: ApplierCounters) => number) =>
    each.reduce((all, counters) => all + of(counters), 0);
  metrics.counter(
    {
      name: 'product_service_cleanup_forgotten_products_total',
      help: 'Products forgotten because they were delisted longer than TOMBSTONE_RETENTION ago, those replayed at the start included',
    },
    (put) => put(sum(({ forgotten }) => forgotten)),
  );
  metrics.counter(
    {
      name: 'product_service_cleanup_freed_places_total',
      help: 'Places of forgotten products that new products can take',
    },
    (put) => put(sum(({ freed }) => freed)),
  );
  metrics.gauge(
    {
      name: 'product_service_cleanup_waiting_products',
      help: 'Forgotten products whose places are not freed yet, as last counted: for checkpoints, sinks or events in flight',
    },
    (put) => put(cleanup.waiting),
  );
}
