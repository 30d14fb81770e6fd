/**
 * Series of metrics as they go from thread to thread: read in the thread whose they are, added up in the one
 * that is asked. Pure; survives structured cloning.
 */
import type { HistogramReading } from './histogram.ts';
import type { DeclaredMetric, Labels } from './registry.ts';

export interface Series {
  readonly labels: Labels;
  readonly reading: number | HistogramReading;
}

/** By the metric's name. */
export type SeriesByMetric = Readonly<Record<string, readonly Series[]>>;

const NO_LABELS: Labels = Object.freeze({});

/** What `metric` has now. */
export async function seriesOf(metric: DeclaredMetric): Promise<Series[]> {
  const series: Series[] = [];
  if (metric.type === 'histogram') {
    await metric.read((reading, labels = NO_LABELS) => {
      series.push({ labels, reading: copyOf(reading) });
    });
  } else {
    await metric.read((reading, labels = NO_LABELS) => series.push({ labels, reading }));
  }
  return series;
}

/** All that `metrics` have now. */
export async function readAll(metrics: readonly DeclaredMetric[]): Promise<SeriesByMetric> {
  const all: Record<string, readonly Series[]> = {};
  for (const metric of metrics) all[metric.name] = await seriesOf(metric);
  return all;
}

/** Those with the same labels as one: their sum, or the greatest of them. */
export function together(
  series: readonly Series[],
  across: 'sum' | 'greatest' = 'sum',
): readonly Series[] {
  const byLabels = new Map<string, Series>();
  for (const each of series) {
    const key = keyOf(each.labels);
    const known = byLabels.get(key);
    byLabels.set(
      key,
      known === undefined ? each : { ...known, reading: both(known, each, across) },
    );
  }
  return [...byLabels.values()];
}

function both(a: Series, b: Series, across: 'sum' | 'greatest'): Series['reading'] {
  const [left, right] = [a.reading, b.reading];
  if (typeof left === 'number' && typeof right === 'number') {
    return across === 'sum' ? left + right : Math.max(left, right);
  }
  // The same metric is declared alike in all threads.
  if (typeof left === 'number' || typeof right === 'number') return left;
  const counts = Array.from(left.counts, (count, i) => count + (right.counts[i] ?? 0));
  return { bounds: left.bounds, counts, sum: left.sum + right.sum };
}

function copyOf({ bounds, counts, sum }: HistogramReading): HistogramReading {
  return { bounds: [...bounds], counts: Array.from(counts), sum };
}

function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).toSorted());
}
