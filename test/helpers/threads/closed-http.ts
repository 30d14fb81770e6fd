/** A thread that serves HTTP and fails when it is asked to open; one that comes later has no need to be asked. Tests only. */
import { parentPort, workerData } from 'node:worker_threads';
import { runHttpThread } from '../../../src/http-threads/http-thread.ts';
import type { LineEnd } from '../../../src/http-threads/line.ts';

const port = parentPort;
if (port === null) throw new Error('it is a thread');

const failing: LineEnd = {
  postMessage: (message) => port.postMessage(message),
  on: (event, listener) =>
    port.on(event, (message) => {
      if (message.type !== 'ask' || message.name !== 'open') return listener(message);
      const error = { name: 'Error', message: 'it has no room' };
      port.postMessage({ type: 'failed', ticket: message.ticket, error });
    }),
};
await runHttpThread(workerData, failing, () => process.exit());
