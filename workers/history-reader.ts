/** Entry of the thread that answers from the history. */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { answerHistory } from '../src/history/history-desk.ts';

flushCompileCache();
if (parentPort !== null) await answerHistory(workerData, parentPort);
