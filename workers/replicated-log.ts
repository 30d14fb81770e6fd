/** Entry of a replicated log's thread: reads the local log back, then follows the stream until asked to stop. */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { filesOf } from '../src/log/held-files.ts';
import type { ReplicatedLogThreadData } from '../src/write-path/log-messages.ts';
import { runReplicatedLogThread } from '../src/write-path/replicated-log-thread.ts';

// Now: this thread is not asked again before it is ended.
flushCompileCache();
const data: ReplicatedLogThreadData = workerData;
runReplicatedLogThread(data, filesOf(data.held), (message) => {
  parentPort?.postMessage(message);
});
