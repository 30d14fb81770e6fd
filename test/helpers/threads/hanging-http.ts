/** A thread that serves HTTP and blocks for good when it is sent shared memory, whose first word it sets. Tests only. */
import { parentPort, workerData } from 'node:worker_threads';
import { runHttpThread } from '../../../src/http-threads/http-thread.ts';

parentPort?.on('message', (message: unknown) => {
  if (!(message instanceof SharedArrayBuffer)) return;
  const words = new Int32Array(message);
  Atomics.store(words, 0, 1);
  Atomics.wait(words, 0, 1);
});
if (parentPort !== null) await runHttpThread(workerData, parentPort, () => process.exit());
