/** The metrics of checkpoints. Main thread. */
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { Checkpointer } from './checkpointer.ts';

export function checkpointMetrics(metrics: MetricsRegistry, checkpoints: Checkpointer): void {
  metrics.counter(
    {
      name: 'product_service_checkpoint_rounds_total',
      help: 'Rounds over the parts of the checkpoint, by how they ended; those given up are not counted',
      labels: ['result'],
    },
    (put) => {
      put(checkpoints.rounds, { result: 'finished' });
      put(checkpoints.failed, { result: 'failed' });
    },
  );
  metrics.gauge(
    {
      name: 'product_service_checkpoint_last_timestamp_seconds',
      help: 'When the last round was finished; none before the first since the start',
    },
    (put) => {
      if (checkpoints.last !== undefined) put(checkpoints.last.atMs / 1000);
    },
  );
  metrics.gauge(
    {
      name: 'product_service_checkpoint_last_duration_seconds',
      help: 'How long the last finished round took; none before the first since the start',
    },
    (put) => {
      if (checkpoints.last !== undefined) put(checkpoints.last.durationMs / 1000);
    },
  );
  metrics.gauge(
    {
      name: 'product_service_checkpoint_last_written_bytes',
      help: 'What the last finished round wrote; none before the first since the start',
    },
    (put) => {
      if (checkpoints.last !== undefined) put(checkpoints.last.bytes);
    },
  );
  metrics.gauge(
    {
      name: 'product_service_checkpoint_uncovered_events',
      help: 'Events that a start would have to replay now',
    },
    (put) => put(checkpoints.unsavedEvents),
  );
}
