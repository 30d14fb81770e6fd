/** The metrics of the history; none while HISTORY is off. Main thread. */
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { SeqWatch } from '../ring/seq-watch.ts';
import type { ProductHistory } from './product-history.ts';

export function historyMetrics(
  metrics: MetricsRegistry,
  history: ProductHistory | undefined,
  applied: Pick<SeqWatch, 'seq'>,
): void {
  metrics.gauge(
    {
      name: 'product_service_history_lag_events',
      help: 'How many events the history is behind the applied ones; none while HISTORY is off',
    },
    (put) => {
      if (history !== undefined) put(Math.max(0, applied.seq - history.progress.seq));
    },
  );
  metrics.gauge(
    {
      name: 'product_service_history_caught_up_timestamp_seconds',
      help: 'When the history last had all events; none before the first time since the start',
    },
    (put) => {
      if (history !== undefined && history.caughtUpMs > 0) put(history.caughtUpMs / 1000);
    },
  );
  metrics.counter(
    {
      name: 'product_service_history_failures_total',
      help: 'How often the history could not be written; none while HISTORY is off',
    },
    (put) => {
      if (history !== undefined) put(history.failures);
    },
  );
}
