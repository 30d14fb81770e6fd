/** A thread that takes from many clients' quotas as often as it may, and some more. Tests only. */
import { workerData } from 'node:worker_threads';
import type { ClientKey } from '../../src/limits/client-key.ts';
import { RateTable } from '../../src/limits/rate-table.ts';

export interface TakingData {
  readonly memory: SharedArrayBuffer;
  /** What was allowed, for each client. */
  readonly taken: Int32Array;
  /** Threads that have begun. */
  readonly started: Int32Array;
  readonly threads: number;
}

export const QUOTA = 1000;

/** So long that nothing is earned while the test runs. */
const WINDOW_SECONDS = 9999 * 3600;

export function takingTable(memory: SharedArrayBuffer): RateTable {
  return new RateTable({ quota: QUOTA, windowSeconds: WINDOW_SECONDS }, memory);
}

export function clientKey(client: number): ClientKey {
  return { hash: client, tag: client + 100 };
}

function run({ memory, taken, started, threads }: TakingData): void {
  const table = takingTable(memory);
  const own = Atomics.add(started, 0, 1) + 1;
  Atomics.notify(started, 0);
  for (let seen = own; seen < threads; seen = Atomics.load(started, 0)) {
    Atomics.wait(started, 0, seen);
  }
  for (let i = 0; i < QUOTA; i++) {
    for (let client = 0; client < taken.length; client++) {
      if (table.take(clientKey(client))) Atomics.add(taken, client, 1);
      // Others, in the same sets.
      table.take({ hash: client, tag: (own << 28) | (i << 8) | client });
    }
  }
}

if (workerData?.memory !== undefined) run(workerData as TakingData);
