/** Entry of the log thread: reads the log back, then makes events durable until told to stop. */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { NodeFileSystem } from '../src/log/file-system.ts';
import { runLogThread } from '../src/log/log-thread.ts';
import type { LogThreadData } from '../src/threads/shared-memory.ts';

// Now: this thread is not asked again before it is ended.
flushCompileCache();
runLogThread(workerData as LogThreadData, new NodeFileSystem(), (message) => {
  parentPort?.postMessage(message);
});
