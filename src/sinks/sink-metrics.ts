/** The metrics of sinks and dead letters. Main thread; nothing but shared memory and one count is read. */
import type { Labels, MetricsRegistry } from '../metrics/registry.ts';
import type { LetterDesk } from './letter-desk.ts';
import { BREAKER_STATES, SINK_STATES, type SinkStat } from './sink-stats.ts';
import type { Sinks } from './sinks.ts';

const SINK = ['sink'];
/** Failed attempts, by what is done about them. */
const FAILURES: readonly (readonly [SinkStat, string])[] = [
  ['failedRetryable', 'retryable'],
  ['failedSystem', 'system'],
  ['failedNotRetryable', 'not-retryable'],
  ['failedValidation', 'validation'],
];

/** `appliedSeq`: up to where events are applied. */
export function sinkMetrics(
  metrics: MetricsRegistry,
  sinks: Sinks,
  desk: LetterDesk,
  appliedSeq: () => number,
): void {
  const each =
    (stat: SinkStat, per = 1) =>
    (put: (value: number, labels: Labels) => void) => {
      for (const { name, stats } of sinks.all) put(stats.get(stat) / per, { sink: name });
    };
  metrics.gauge(
    {
      name: 'product_service_sink_lag_events',
      help: 'Events that are applied and not yet in the sink',
      labels: SINK,
    },
    (put) => {
      const applied = appliedSeq();
      for (const { name, stats } of sinks.all) {
        put(Math.max(0, applied - stats.get('position')), { sink: name });
      }
    },
  );
  metrics.gauge(
    {
      name: 'product_service_sink_lag_seconds',
      help: 'How old the state is that the sink shows; 0 if it has everything',
      labels: SINK,
    },
    (put) => {
      const applied = appliedSeq();
      for (const { name, stats } of sinks.all) put(lagMs(stats, applied) / 1000, { sink: name });
    },
  );
  metrics.counter(
    {
      name: 'product_service_sink_batches_total',
      help: 'Transactions that the sink committed',
      labels: SINK,
    },
    each('batches'),
  );
  metrics.counter(
    {
      name: 'product_service_sink_busy_seconds_total',
      help: 'How long these took together',
      labels: SINK,
    },
    each('busyMicros', 1e6),
  );
  metrics.counter(
    { name: 'product_service_sink_rows_sent_total', help: 'Rows in them', labels: SINK },
    each('rowsSent'),
  );
  metrics.counter(
    {
      name: 'product_service_sink_rows_written_total',
      help: 'Of these, rows that were newer than what stood',
      labels: SINK,
    },
    each('rowsWritten'),
  );
  metrics.counter(
    {
      name: 'product_service_sink_failures_total',
      help: 'Attempts that failed, by what is done about it',
      labels: ['sink', 'class'],
    },
    (put) => {
      for (const { name, stats } of sinks.all) {
        for (const [stat, kind] of FAILURES) put(stats.get(stat), { sink: name, class: kind });
      }
    },
  );
  metrics.counter(
    {
      name: 'product_service_sink_retries_total',
      help: 'Attempts after one that failed',
      labels: SINK,
    },
    each('retries'),
  );
  metrics.gauge(
    {
      name: 'product_service_sink_breaker_state',
      help: 'Whether the breaker of the sink is in this state',
      labels: ['sink', 'state'],
    },
    (put) => {
      for (const { name, stats } of sinks.all) {
        for (const state of BREAKER_STATES)
          put(Number(stats.breaker === state), { sink: name, state });
      }
    },
  );
  metrics.counter(
    {
      name: 'product_service_sink_breaker_opened_total',
      help: 'How often the breaker of the sink opened',
      labels: SINK,
    },
    each('breakerOpened'),
  );
  metrics.gauge(
    {
      name: 'product_service_sink_state',
      help: 'Whether the sink is in this state',
      labels: ['sink', 'state'],
    },
    (put) => {
      for (const { name, stats } of sinks.all) {
        for (const state of SINK_STATES) put(Number(stats.state === state), { sink: name, state });
      }
    },
  );
  metrics.counter(
    {
      name: 'product_service_sink_dead_letters_total',
      help: 'Rows that the database refused and that went to the dead letters',
      labels: SINK,
    },
    each('deadLetters'),
  );
  metrics.gauge(
    { name: 'product_service_dead_letters', help: 'Dead letters that are kept' },
    async (put) => {
      const count = await desk.count();
      if (count !== undefined) put(count, {});
    },
  );
  metrics.gauge(
    {
      name: 'product_service_dead_letters_capacity',
      help: 'Dead letters that may be kept, by DEAD_LETTERS_MAX',
    },
    (put) => put(desk.lettersMax),
  );
}

/** How long the state that a sink shows has been behind, given how far events are applied. */
function lagMs(stats: Sinks['all'][number]['stats'], applied: number): number {
  if (stats.get('position') >= applied) return 0;
  const caughtUpMs = stats.get('caughtUpMs');
  return caughtUpMs === 0 ? 0 : Math.max(0, Date.now() - caughtUpMs);
}
