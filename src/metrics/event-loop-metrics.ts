/** The metrics of the event loop of a thread that serves HTTP. Each such thread. */
import type { EventLoopDelay } from './event-loop-delay.ts';
import type { MetricsRegistry } from './registry.ts';

const MS_PER_SECOND = 1000;

/** Of this thread, which goes by the name `thread`. */
export function eventLoopMetrics(
  metrics: MetricsRegistry,
  delay: EventLoopDelay,
  thread: string,
): void {
  const labels = Object.freeze({ thread });
  metrics.counter(
    {
      name: 'nodejs_eventloop_active_seconds_total',
      help: 'Time in which the event loop of a thread that serves HTTP was busy',
      labels: ['thread'],
    },
    (put) => put(performance.eventLoopUtilization().active / MS_PER_SECOND, labels),
  );
  metrics.counter(
    {
      name: 'nodejs_eventloop_idle_seconds_total',
      help: 'Time in which that event loop had nothing to do',
      labels: ['thread'],
    },
    (put) => put(performance.eventLoopUtilization().idle / MS_PER_SECOND, labels),
  );
  metrics.histogram(
    {
      name: 'nodejs_eventloop_delay_seconds',
      help: 'How late that event loop came to what was due, every 20 ms',
      labels: ['thread'],
      perUnit: MS_PER_SECOND,
    },
    (put) => put(delay.delays, labels),
  );
}
