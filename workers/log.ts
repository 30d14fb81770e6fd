/** Entry of the log thread: reads the log back, then makes events durable until asked to stop. */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { filesOf } from '../src/log/held-files.ts';
import type { LogThreadData } from '../src/write-path/log-messages.ts';
import { runLogThread } from '../src/write-path/log-thread.ts';

// Now: this thread is not asked again before it is ended.
flushCompileCache();
const data: LogThreadData = workerData;
runLogThread(data, filesOf(data.held), (message) => {
  parentPort?.postMessage(message);
});
