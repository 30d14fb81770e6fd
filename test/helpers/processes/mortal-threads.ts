/**
 * Loaded before the service (`NODE_OPTIONS=--import=…`), so that a signal makes it lose threads: SIGWINCH kills
 * the log's and one applier, SIGIO throws where nobody catches it. Tests only.
 */
import { isMainThread } from 'node:worker_threads';
import { ServiceThreads } from '../threads/service-threads.ts';

if (isMainThread) {
  const threads = new ServiceThreads({ teardown: () => undefined });
  process.on('SIGWINCH', () => {
    void threads.killLog();
    void threads.killApplier(0);
  });
  process.on('SIGIO', () => {
    throw new Error('a fault that nobody expects');
  });
}
