/** The metrics of HTTP. Main thread. */
import { PROBLEMS, type ProblemCode } from '../../errors/problems.ts';
import type { MetricsRegistry } from '../../metrics/registry.ts';
import type { Batches } from '../seams/batches.ts';
import type { HttpMeter } from './http-meter.ts';

const CODES = Object.keys(PROBLEMS) as ProblemCode[];
/** Outcomes of events that are on record, and counted as such. */
const OUTCOMES: readonly string[] = ['precondition-failed', 'event-dead', 'outcome-expired'];

export function httpMetrics(
  metrics: MetricsRegistry,
  meter: HttpMeter,
  batches: Pick<Batches, 'refusedEvents'>,
): void {
  metrics.counter(
    {
      name: 'product_service_http_requests_total',
      help: 'Requests answered, by method, route and status; unrouted are those that no route took, malformed ones among them',
      labels: ['method', 'route', 'status'],
    },
    (put) => {
      for (const counts of meter.routes) {
        const { labels } = counts;
        meter.eachStatus(counts, (status, count) => put(count, { ...labels, status: `${status}` }));
      }
    },
  );
  metrics.histogram(
    {
      name: 'product_service_http_request_duration_seconds',
      help: 'Time from the headers of a request until its whole answer was handed to the system',
      labels: ['method', 'route'],
      perUnit: 1000,
    },
    (put) => {
      for (const { labels, durations } of meter.routes) {
        if (durations.count > 0) put(durations, labels);
      }
    },
  );
  metrics.counter(
    {
      name: 'product_service_http_problems_total',
      help: 'Problems answered, by their code',
      labels: ['code'],
    },
    (put) => {
      // Those that did not occur yet, too: what begins with 1 is no increase to Prometheus.
      for (const code of CODES) put(meter.problems.get(code) ?? 0, { code });
    },
  );
  metrics.gauge(
    {
      name: 'product_service_http_requests_in_flight',
      help: 'Requests that have no whole answer yet, streams of changes among them',
    },
    (put) => put(meter.inFlight),
  );
  metrics.counter(
    {
      name: 'product_service_http_requests_aborted_total',
      help: 'Requests whose connection, or stream of HTTP/2, ended before their answer did',
    },
    (put) => put(meter.aborted),
  );
  metrics.gauge({ name: 'product_service_http_connections', help: 'Open connections' }, (put) =>
    put(meter.connections),
  );
  metrics.counter(
    {
      name: 'product_service_http_connections_accepted_total',
      help: 'Connections accepted',
    },
    (put) => put(meter.connectionsAccepted),
  );
  metrics.counter(
    {
      name: 'product_service_http_connections_dropped_total',
      help: 'Connections closed as they came, and streams of HTTP/2 refused, because MAX_CONNECTIONS were open',
    },
    (put) => put(meter.connectionsDropped),
  );
  metrics.counter(
    {
      name: 'product_service_events_refused_total',
      help: 'Events that were not taken, by the code of the problem; of batches those that have faults of their own',
      labels: ['way', 'reason'],
    },
    (put) => {
      for (const [reason, count] of meter.eventProblems) {
        if (!OUTCOMES.includes(reason)) put(count, { way: 'single', reason });
      }
      put(batches.refusedEvents, { way: 'batch', reason: 'invalid-event' });
    },
  );
}
