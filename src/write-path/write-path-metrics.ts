/** The metrics of the write path and the store. Main thread. */
import type { MetricsRegistry, Put } from '../metrics/registry.ts';
import type { LogCount } from '../metrics/thread-counters.ts';
import {
  OUTCOME_APPLIED,
  OUTCOME_DEAD,
  OUTCOME_REFUSED,
  OUTCOME_STALE,
} from '../outcome/outcome-window.ts';
import { ageMetrics, RING_EVENTS } from './producer-metrics.ts';
import type { WritePath } from './write-path.ts';

const SINGLE = Object.freeze({ way: 'single' });
const BATCH = Object.freeze({ way: 'batch' });

const OUTCOMES = [
  ['applied', OUTCOME_APPLIED],
  ['stale', OUTCOME_STALE],
  ['refused', OUTCOME_REFUSED],
  ['dead', OUTCOME_DEAD],
] as const;

/** Capacities that the configuration sets, in events. */
export interface WritePathLimits {
  readonly queueSize: number;
  readonly bulkQueueSize: number;
}

export function writePathMetrics(
  metrics: MetricsRegistry,
  path: WritePath,
  limits: WritePathLimits,
): void {
  eventMetrics(metrics, path);
  ringMetrics(metrics, path, limits);
  logMetrics(metrics, path);
}

function eventMetrics(metrics: MetricsRegistry, path: WritePath): void {
  const { counters, ages } = path;
  const byWay = (single: LogCount, batch: LogCount) => (put: Put) => {
    put(counters.log.of(single), SINGLE);
    put(counters.log.of(batch), BATCH);
  };
  metrics.counter(
    {
      name: 'product_service_events_accepted_total',
      help: 'Events made durable that were not known before, by whether they came one by one or in batches',
      labels: ['way'],
    },
    byWay('singleAccepted', 'batchAccepted'),
  );
  metrics.counter(
    {
      name: 'product_service_events_duplicate_total',
      help: 'Events that had come before under the same key',
      labels: ['way'],
    },
    byWay('singleDuplicates', 'batchDuplicates'),
  );
  metrics.counter(
    {
      name: 'product_service_event_outcomes_total',
      help: 'Events the appliers are through with, by what became of them: applied, stale (older than what stands), refused (its condition did not hold) or dead',
      labels: ['outcome'],
    },
    (put) => {
      for (const [outcome, number] of OUTCOMES) put(counters.outcomes(number), { outcome });
    },
  );
  ageMetrics(metrics, ages);
}

function ringMetrics(metrics: MetricsRegistry, path: WritePath, limits: WritePathLimits): void {
  const { commits, progress, watermark } = path;
  const rings = [
    ['single', limits.queueSize, () => path.intake.inFlight],
    ['batch', limits.bulkQueueSize, () => path.bulk.inFlight],
    ['commit', commits.capacity, () => commits.backlog(progress.loadPlace()?.commitHead ?? 0)],
  ] as const;
  metrics.gauge(RING_EVENTS, (put) => {
    for (const [ring, , depth] of rings) put(depth(), { ring });
  });
  metrics.gauge(
    {
      name: 'product_service_ring_capacity_events',
      help: 'Events that a ring takes at the most',
      labels: ['ring'],
    },
    (put) => {
      for (const [ring, capacity] of rings) put(capacity, { ring });
    },
  );
  metrics.gauge(
    { name: 'product_service_durable_seq', help: 'Number of the last durable event' },
    (put) => put(progress.loadNextSeq() - 1),
  );
  metrics.gauge(
    { name: 'product_service_applied_seq', help: 'Number up to which all events are applied' },
    (put) => put(watermark.seq),
  );
}

function logMetrics(metrics: MetricsRegistry, { counters, log }: WritePath): void {
  const { log: counts } = counters;
  metrics.histogram(
    {
      name: 'product_service_log_frame_events',
      help: 'Events that one flush made durable together, receipts of batches included',
      perUnit: 1,
    },
    (put) => put(counts.frameEvents),
  );
  metrics.histogram(
    {
      name: 'product_service_log_flush_duration_seconds',
      help: 'Time that a frame took to be written and flushed',
      perUnit: 1e9,
    },
    (put) => put(counts.flushNs),
  );
  metrics.counter(
    {
      name: 'product_service_log_written_bytes_total',
      help: 'Bytes of frames written and flushed',
    },
    (put) => put(counts.of('writtenBytes')),
  );
  metrics.counter(
    { name: 'product_service_log_segments_created_total', help: 'Segments of the log made' },
    (put) => put(counts.of('segments')),
  );
  metrics.counter(
    {
      name: 'product_service_log_failures_total',
      help: 'Writes and flushes of the log that failed, tries of the same frame included',
    },
    (put) => put(counts.of('failures')),
  );
  metrics.gauge(
    {
      name: 'product_service_replay_events',
      help: 'Events that the start replayed from the log; 0 while it does',
    },
    (put) => put(log.replayed?.events ?? 0),
  );
  metrics.gauge(
    {
      name: 'product_service_replay_duration_seconds',
      help: 'Time that restoring the checkpoint and replaying the log took at the start; 0 while it does',
    },
    (put) => put((log.replayed?.durationMs ?? 0) / 1000),
  );
}
