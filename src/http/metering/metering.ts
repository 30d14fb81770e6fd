/** The metering of all apps of one service: what is counted of requests, and where it is reported. Main thread. */
import type { MetricsRegistry } from '../../metrics/registry.ts';
import type { Batches } from '../seams/batches.ts';
import { HttpMeter } from './http-meter.ts';
import { httpMetrics } from './http-metrics.ts';

export interface Metering {
  readonly meter: HttpMeter;
  /** What `/metrics` tells. */
  readonly registry: MetricsRegistry;
}

/** Declares in `registry` what HTTP counts from now on. */
export function createMetering(registry: MetricsRegistry, batches: Batches): Metering {
  const meter = new HttpMeter();
  httpMetrics(registry, meter, batches);
  return { meter, registry };
}
