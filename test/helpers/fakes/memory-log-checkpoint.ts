/** Entry of a checkpoint's thread beside a log in memory; see `memory-log.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import type { CheckpointThreadData } from '../../../src/checkpoint/checkpoint-messages.ts';
import { runCheckpoint } from '../../../src/checkpoint/checkpoint-thread.ts';
import { filesOf } from '../../../src/log/held-files.ts';
import { MemoryKept, MemoryStream, type StreamMemory } from './memory-log.ts';

const data = workerData as CheckpointThreadData & { readonly stream: StreamMemory };
runCheckpoint(
  data,
  filesOf(data.held),
  (message) => parentPort?.postMessage(message),
  undefined,
  new MemoryKept(new MemoryStream(data.stream)),
);
