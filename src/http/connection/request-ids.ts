/**
 * Names for requests, unique over restarts: a random prefix per app and a counter.
 * Main thread. They appear as `instance` in problems and as `reqId` in the log.
 */
import { randomBytes } from 'node:crypto';

/** Makes a generator of ids like `3f9c2ab14d-1z`, safe in a URN as they are. */
export function createRequestIds(): () => string {
  const prefix = `${randomBytes(5).toString('hex')}-`;
  let count = 0;
  return () => prefix + (++count).toString(36);
}
