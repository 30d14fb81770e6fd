/** Entry of a checkpoint's thread: takes one and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { runCheckpoint } from '../src/checkpoint/checkpoint-thread.ts';
import { NodeFileSystem } from '../src/log/file-system.ts';
import type { CheckpointThreadData } from '../src/threads/shared-memory.ts';

runCheckpoint(workerData as CheckpointThreadData, new NodeFileSystem(), (message) => {
  parentPort?.postMessage(message);
});
