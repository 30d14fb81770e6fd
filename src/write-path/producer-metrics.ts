/** What a thread that takes events in counts of them itself. Each such thread. */
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { Producer } from './producer.ts';

const SINGLE = Object.freeze({ way: 'single' });
const BATCH = Object.freeze({ way: 'batch' });

export const RING_EVENTS = Object.freeze({
  name: 'product_service_ring_events',
  help: 'Events in a ring: single and batch from taken in to durable, commit from durable to applied',
  labels: ['ring'],
});

/** All of it, of a thread other than main. */
export function producerMetrics(
  metrics: MetricsRegistry,
  producer: Pick<Producer, 'ages' | 'intake' | 'bulk'>,
): void {
  const { intake, bulk } = producer;
  ageMetrics(metrics, producer.ages);
  metrics.gauge(RING_EVENTS, (put) => {
    put(intake.inFlight, { ring: 'single' });
    put(bulk.inFlight, { ring: 'batch' });
  });
}

export function ageMetrics(metrics: MetricsRegistry, ages: Producer['ages']): void {
  if (ages === undefined) return;
  metrics.histogram(
    {
      name: 'product_service_event_durable_seconds',
      help: 'Time from the moment an event is taken in until it is durable',
      labels: ['way'],
      perUnit: 1000,
    },
    (put) => {
      put(ages.single.durable, SINGLE);
      put(ages.batch.durable, BATCH);
    },
  );
  metrics.histogram(
    {
      name: 'product_service_event_applied_seconds',
      help: 'Time from the moment an event is taken in until every read shows it; samples, up to 20 in a second of each thread that serves HTTP',
      perUnit: 1000,
    },
    (put) => put(ages.applied),
  );
}
