/** Entry of a checkpoint's thread: takes one and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import type { CheckpointThreadData } from '../src/checkpoint/checkpoint-messages.ts';
import { lowerPriority } from '../src/checkpoint/pace.ts';

const data: CheckpointThreadData = workerData;
if (data.isPaced) lowerPriority();
const { runCheckpoint } = await import('../src/checkpoint/checkpoint-thread.ts');
const { filesOf } = await import('../src/log/held-files.ts');

runCheckpoint(data, filesOf(data.held), (message) => parentPort?.postMessage(message));
