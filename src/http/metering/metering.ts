/** The metering of all apps of one thread: what is counted of requests, and who has the figures of the service. */
import type { Lifecycle } from '../../lifecycle.ts';
import type { MetricsRegistry } from '../../metrics/registry.ts';
import type { Batches } from '../seams/batches.ts';
import type { Figures } from '../seams/figures.ts';
import { StatusSnapshot } from '../status/status-snapshot.ts';
import { HttpMeter } from './http-meter.ts';
import { httpMetrics } from './http-metrics.ts';

export interface Metering {
  readonly meter: HttpMeter;
  /** What `/metrics` and the status page show. */
  readonly figures: Figures;
}

/** Declares in `registry`, which is the whole service's, what HTTP counts from now on. Main thread. */
export function createMetering(
  registry: MetricsRegistry,
  batches: Pick<Batches, 'refusedEvents'>,
  lifecycle: Pick<Lifecycle, 'phase'>,
): Metering {
  const snapshot = new StatusSnapshot(registry, lifecycle);
  return {
    meter: createMeter(registry, batches),
    figures: { text: (form) => registry.text(form), snapshot: () => snapshot.json() },
  };
}

/** The same of one thread's own `registry`. */
export function createMeter(
  registry: MetricsRegistry,
  batches: Pick<Batches, 'refusedEvents'>,
): HttpMeter {
  const meter = new HttpMeter();
  httpMetrics(registry, meter, batches);
  return meter;
}
