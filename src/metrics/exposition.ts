/**
 * The metrics as text, in the two forms that Prometheus reads; @prometheus-io/client writes them. Main
 * thread. Loaded with the first scrape.
 *
 * One registry of the library's for each form: asked for OpenMetrics it takes `_total` off the names of
 * its counters, and for good. It has no way to set a histogram that was counted elsewhere, but takes
 * anything with a `get` (its own `Registry.aggregate` makes such objects), and that is what it is given.
 */
import { type Metric, Registry } from '@prometheus-io/client';
import type { HistogramReading } from './histogram.ts';
import type { DeclaredMetric, Labels } from './registry.ts';

export type ExpositionForm = 'text/plain' | 'application/openmetrics-text';

const CONTENT_TYPES = {
  'text/plain': Registry.PROMETHEUS_CONTENT_TYPE,
  'application/openmetrics-text': Registry.OPENMETRICS_CONTENT_TYPE,
} as const;

interface Sample {
  readonly value: number;
  readonly labels: Labels;
  /** Labels that many samples share, as one object: the library writes them out once. */
  readonly sharedLabels?: Labels;
  /** Of a histogram's parts. */
  readonly metricName?: string;
}

const NO_LABELS: Labels = Object.freeze({});

export class Exposition {
  readonly #registry: Registry;

  constructor(metrics: readonly DeclaredMetric[], form: ExpositionForm) {
    this.#registry = new Registry(CONTENT_TYPES[form]);
    for (const metric of metrics) this.#registry.registerMetric(readable(metric));
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** What the library registers, asks and prints. */
function readable(metric: DeclaredMetric): Metric<string> {
  const { name, help, type } = metric;
  const one = {
    name,
    help,
    type,
    aggregator: 'omit',
    async get() {
      return { name: one.name, help, type, aggregator: 'omit', values: await samplesOf(metric) };
    },
  };
  // Its types know its own classes only.
  return one as unknown as Metric<string>;
}

async function samplesOf(metric: DeclaredMetric): Promise<Sample[]> {
  const samples: Sample[] = [];
  if (metric.type === 'histogram') {
    await metric.read((reading, labels = NO_LABELS) => {
      addHistogram(samples, metric.name, metric.perUnit, reading, labels);
    });
  } else {
    await metric.read((value, labels = NO_LABELS) => samples.push({ value, labels }));
  }
  return samples;
}

/** Buckets count what they have below them, too. */
function addHistogram(
  samples: Sample[],
  name: string,
  perUnit: number,
  { bounds, counts, sum }: HistogramReading,
  sharedLabels: Labels,
): void {
  let count = 0;
  for (let i = 0; i <= bounds.length; i++) {
    count += counts[i];
    const le = i < bounds.length ? String(bounds[i] / perUnit) : '+Inf';
    samples.push({ value: count, labels: { le }, sharedLabels, metricName: `${name}_bucket` });
  }
  const labels = sharedLabels;
  samples.push({ value: sum / perUnit, labels, metricName: `${name}_sum` });
  samples.push({ value: count, labels, metricName: `${name}_count` });
}
