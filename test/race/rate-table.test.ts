/**
 * Threads that ask for the same clients at the same time, while one of them floods the table with others.
 *
 * Allowed:   exactly the quota of each client, by whichever threads
 * Forbidden: more (a charge was lost) · less (a client was charged what another had)
 *
 * Each client has used some of its quota when they begin, so what the flood pushes out is its own; and has
 * its place: two threads that make one for the same client may lose a charge, as rate-table.ts says.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { RATE_TABLE_BYTES } from '../../src/limits/rate-table.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import { clientKey, QUOTA, type TakingData, takingTable } from './taking-rates.ts';

const THREADS = 3;
const ROUNDS = scaled(3, 200);
const CLIENTS = 50;
/** Used by each client before. */
const BEFORE = 10;

t.test(`${THREADS} threads share each client's quota exactly`, async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const data: TakingData = {
      memory: new SharedArrayBuffer(RATE_TABLE_BYTES),
      taken: new Int32Array(new SharedArrayBuffer(4 * CLIENTS)),
      started: new Int32Array(new SharedArrayBuffer(4)),
      threads: THREADS,
    };
    const table = takingTable(data.memory);
    for (let client = 0; client < CLIENTS; client++) table.charge(clientKey(client), BEFORE);
    const url = new URL('./taking-rates.ts', import.meta.url);
    const workers = Array.from({ length: THREADS }, () => new Worker(url, { workerData: data }));
    const exits = await Promise.all(workers.map((worker) => once(worker, 'exit')));
    t.strictSame(exits, Array(THREADS).fill([0]));
    t.strictSame([...data.taken], Array(CLIENTS).fill(QUOTA - BEFORE));
  }
});
