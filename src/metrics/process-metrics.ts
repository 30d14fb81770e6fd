/**
 * What the process takes, under the names that Prometheus's clients use in all languages, and what Node
 * says of its main thread. Where the system does not say something (/proc, outside of Linux), it is
 * left out. Main thread.
 */
import { readdir, readFile } from 'node:fs/promises';
import type { EventLoopDelay } from './event-loop-delay.ts';
import { eventLoopMetrics } from './event-loop-metrics.ts';
import type { MetricsRegistry } from './registry.ts';

const US_PER_SECOND = 1e6;
const MS_PER_SECOND = 1000;

export function processMetrics(metrics: MetricsRegistry, delay: EventLoopDelay): void {
  metrics.counter(
    { name: 'process_cpu_user_seconds_total', help: 'CPU time of the process in user mode' },
    (put) => put(process.cpuUsage().user / US_PER_SECOND),
  );
  metrics.counter(
    { name: 'process_cpu_system_seconds_total', help: 'CPU time of the process in the kernel' },
    (put) => put(process.cpuUsage().system / US_PER_SECOND),
  );
  metrics.counter({ name: 'process_cpu_seconds_total', help: 'CPU time of the process' }, (put) => {
    const { user, system } = process.cpuUsage();
    put((user + system) / US_PER_SECOND);
  });
  metrics.gauge(
    { name: 'process_start_time_seconds', help: 'When the process started, since the epoch' },
    (put) => put(performance.timeOrigin / MS_PER_SECOND),
  );
  metrics.gauge(
    { name: 'process_resident_memory_bytes', help: 'Memory of the process that is in use' },
    (put) => put(process.memoryUsage.rss()),
  );
  metrics.gauge(
    { name: 'process_open_fds', help: 'Open descriptors; only where /proc has them' },
    async (put) => {
      const open = await readdir('/proc/self/fd').catch(() => undefined);
      if (open !== undefined) put(open.length);
    },
  );
  /** It stays as it was at the start. */
  let most: number | undefined;
  metrics.gauge(
    { name: 'process_max_fds', help: 'Descriptors that may be open; only where /proc has them' },
    async (put) => {
      most ??= await descriptorsMax();
      if (most !== undefined) put(most);
    },
  );
  nodeMetrics(metrics, delay);
}

async function descriptorsMax(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const [, most] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  return most === undefined ? undefined : Number(most);
}

function nodeMetrics(metrics: MetricsRegistry, delay: EventLoopDelay): void {
  metrics.info(
    { name: 'nodejs_version_info', help: 'The Node that runs it' },
    { version: process.version },
  );
  metrics.gauge({ name: 'nodejs_heap_size_total_bytes', help: 'Heap of the main thread' }, (put) =>
    put(process.memoryUsage().heapTotal),
  );
  metrics.gauge({ name: 'nodejs_heap_size_used_bytes', help: 'Of that what is used' }, (put) =>
    put(process.memoryUsage().heapUsed),
  );
  metrics.gauge(
    {
      name: 'nodejs_external_memory_bytes',
      help: 'Memory outside of the heap that its objects hold; shared memory is not in it',
    },
    (put) => put(process.memoryUsage().external),
  );
  eventLoopMetrics(metrics, delay, 'main');
}
