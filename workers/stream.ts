/** Entry of the stream's thread, beside that of a replicated log. */
import { workerData } from 'node:worker_threads';
import { runStreamThread } from '../src/replication/stream-thread.ts';
import { SinkStats } from '../src/sinks/sink-stats.ts';

runStreamThread(workerData, (sinks) =>
  Object.fromEntries(sinks.map(({ name, stats }) => [name, new SinkStats(stats).state])),
);
