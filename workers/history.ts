/** Entry of the history's thread: follows the events into the history until asked to stop. */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { HistoryThreadData } from '../src/history/history-messages.ts';
import { runHistory } from '../src/history/history-thread.ts';

flushCompileCache();
const data: HistoryThreadData = workerData;
await runHistory(data, (report) => parentPort?.postMessage(report));
