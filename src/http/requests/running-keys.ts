/**
 * The Idempotency-Keys of batches that are being taken: one request at a time for each (the IETF's
 * draft-ietf-httpapi-idempotency-key-header asks for 409 while the first is being processed). A
 * request that was cut may still be on its way to the log when its repetition arrives, so that one
 * waits a moment first. Main thread, for all threads that serve HTTP.
 */
import { RETRY_MS_MAX } from '../../later-turns.ts';
import type { BatchKeysRunning } from '../seams/running-keys.ts';

export class RunningKeys implements BatchKeysRunning {
  /** Resolved when the request is over. */
  readonly #running = new Map<string, Promise<void>>();

  async begin(key: string): Promise<(() => void) | undefined> {
    const other = this.#running.get(key);
    if (other !== undefined) await orAMoment(other);
    if (this.#running.has(key)) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#running.set(key, promise);
    return () => {
      this.#running.delete(key);
      resolve();
    };
  }
}

async function orAMoment(other: Promise<void>): Promise<void> {
  const { promise: moment, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, RETRY_MS_MAX);
  await Promise.race([other, moment]);
  clearTimeout(timer);
}
