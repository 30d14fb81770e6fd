/** Entry of the stream's thread, beside that of a replicated log. */
import { workerData } from 'node:worker_threads';
import { runStreamThread } from '../src/replication/stream-thread.ts';

runStreamThread(workerData);
