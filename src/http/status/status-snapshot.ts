/**
 * What the status page shows, as one JSON text: the phase, and of the service's metrics those that the
 * page draws. Values stand under the name of their series as Prometheus writes it; histograms as counts
 * beside their bounds (in base units), not added up. Main thread.
 */
import type { Lifecycle } from '../../lifecycle.ts';
import type { HistogramReading } from '../../metrics/histogram.ts';
import type { DeclaredMetric, Labels, MetricsRegistry } from '../../metrics/registry.ts';

/** Metrics that the page draws; status.js reads them. */
export const STATUS_METRICS: readonly string[] = [
  'process_resident_memory_bytes',
  'process_start_time_seconds',
  'product_service_changes_followers',
  'product_service_changes_lag_events',
  'product_service_checkpoint_uncovered_events',
  'product_service_disk_free_bytes',
  'product_service_durable_seq',
  'product_service_event_applied_seconds',
  'product_service_event_durable_seconds',
  'product_service_event_outcomes_total',
  'product_service_events_accepted_total',
  'product_service_http_requests_total',
  'product_service_log_bytes',
  'product_service_log_flush_duration_seconds',
  'product_service_ring_events',
  'product_service_store_fill_ratio',
  'product_service_store_products',
];
/** And whatever sinks have to say. */
const SINK_METRIC = /^product_service_sink_/;

interface ShownHistogram {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
}

export class StatusSnapshot {
  readonly #registry: Pick<MetricsRegistry, 'declared' | 'refresh'>;
  readonly #lifecycle: Pick<Lifecycle, 'phase'>;
  /** None before the first snapshot: until then more may be declared. */
  #metrics: readonly DeclaredMetric[] | undefined;

  constructor(
    registry: Pick<MetricsRegistry, 'declared' | 'refresh'>,
    lifecycle: Pick<Lifecycle, 'phase'>,
  ) {
    this.#registry = registry;
    this.#lifecycle = lifecycle;
  }

  /** Reads all of it now. Rejects with what a metric's own function throws. */
  async json(): Promise<string> {
    await this.#registry.refresh();
    this.#metrics ??= this.#registry.declared.filter(
      ({ name }) => STATUS_METRICS.includes(name) || SINK_METRIC.test(name),
    );
    const values: Record<string, number> = {};
    const histograms: Record<string, ShownHistogram> = {};
    for (const metric of this.#metrics) {
      if (metric.type === 'histogram') {
        await metric.read((reading, labels) => {
          histograms[seriesName(metric.name, labels)] = shownHistogram(reading, metric.perUnit);
        });
      } else {
        await metric.read((value, labels) => {
          values[seriesName(metric.name, labels)] = value;
        });
      }
    }
    const { phase } = this.#lifecycle;
    return JSON.stringify({ at: Date.now(), phase, values, histograms });
  }
}

function seriesName(name: string, labels: Labels = {}): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`;
}

function shownHistogram({ bounds, counts }: HistogramReading, perUnit: number): ShownHistogram {
  return {
    bounds: bounds.map((bound) => bound / perUnit),
    counts: Array.from({ length: bounds.length + 1 }, (_, i) => counts[i] ?? 0),
  };
}
