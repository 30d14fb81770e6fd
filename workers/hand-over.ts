/** Entry of the thread that hands this instance's files to one that joins. */
import { parentPort, workerData } from 'node:worker_threads';
import { handOver } from '../src/joining/hand-over.ts';

await handOver(workerData, () => parentPort?.postMessage('offered'));
