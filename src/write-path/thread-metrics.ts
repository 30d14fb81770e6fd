/**
 * What the threads of the service cost, and how often they were replaced. Main thread.
 *
 * A thread that blocks between two pieces of work never comes back to its event loop, so that loop's
 * utilisation says nothing: what it waits is counted where it waits (metrics/thread-counters.ts).
 */
import type { Worker } from 'node:worker_threads';
import type { Labels, MetricsRegistry } from '../metrics/registry.ts';
import type { WritePath } from './write-path.ts';

const LOG: Labels = Object.freeze({ thread: 'log' });
const US_PER_SECOND = 1e6;

/** The threads that serve HTTP beside the main thread. */
export interface HttpThreadsSeen {
  readonly restarts: number;
  /** Of these, those that were ended because they hung. */
  readonly hangs: number;
  readonly threads: readonly { readonly index: number; readonly worker: Worker }[];
}

/** `http`: `undefined` while or where there are none. */
export function threadMetrics(
  metrics: MetricsRegistry,
  path: WritePath,
  http: () => HttpThreadsSeen | undefined,
): void {
  const { counters, log, appliers } = path;
  const labels = counters.appliers.map((_, i) => Object.freeze({ thread: `applier-${i}` }));
  metrics.counter(
    {
      name: 'product_service_thread_restarts_total',
      help: 'Threads that died and were replaced',
      labels: ['thread'],
    },
    (put) => {
      put(log.restarts, LOG);
      put(appliers.restarts, { thread: 'applier' });
      const seen = http();
      if (seen !== undefined) put(seen.restarts, { thread: 'http' });
    },
  );
  metrics.counter(
    {
      name: 'product_service_thread_hangs_total',
      help: 'Threads that serve HTTP that hung, and were ended to be replaced',
      labels: ['thread'],
    },
    (put) => {
      const seen = http();
      if (seen !== undefined) put(seen.hangs, { thread: 'http' });
    },
  );
  metrics.counter(
    {
      name: 'product_service_thread_waiting_seconds_total',
      help: 'Time that a thread has waited for something to do; it was busy for the rest',
      labels: ['thread'],
    },
    (put) => {
      put(counters.log.waitedSeconds, LOG);
      for (const [i, applier] of counters.appliers.entries()) put(applier.waitedSeconds, labels[i]);
    },
  );
  metrics.counter(
    {
      name: 'product_service_thread_cpu_seconds_total',
      help: 'CPU time of a thread, user and system; from 0 again where it was replaced',
      labels: ['thread'],
    },
    async (put) => {
      put(secondsOf(process.threadCpuUsage()), { thread: 'main' });
      const byId = (id: number) => appliers.threads.find(({ threadId }) => threadId === id);
      await Promise.all([
        cpuSeconds(log.worker).then((used) => put(used, LOG)),
        ...(http()?.threads ?? []).map(async ({ index, worker }) => {
          put(await cpuSeconds(worker), { thread: `http-${index}` });
        }),
        ...counters.appliers.map(async (applier, i) => {
          put(await cpuSeconds(byId(applier.threadId)), labels[i]);
        }),
      ]);
    },
  );
}

/** 0 where there is no thread, or it ends just then. */
async function cpuSeconds(worker: Worker | undefined): Promise<number> {
  if (worker === undefined) return 0;
  return worker.cpuUsage().then(secondsOf, () => 0);
}

function secondsOf({ user, system }: { readonly user: number; readonly system: number }): number {
  return (user + system) / US_PER_SECOND;
}
