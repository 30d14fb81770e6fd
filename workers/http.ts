/** Entry of a further thread that serves HTTP. */
import { parentPort, workerData } from 'node:worker_threads';
import { runHttpThread } from '../src/http-threads/http-thread.ts';

if (parentPort === null) throw new Error('it is the main thread that serves alone');
await runHttpThread(workerData, parentPort, () => process.exit());
