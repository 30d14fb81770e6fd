/** Entry of a sink's thread: follows the store and writes to one database until asked to stop. */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { lowerPriority } from '../src/checkpoint/pace.ts';
import type { SinkThreadData } from '../src/sinks/sink-messages.ts';

lowerPriority();
const data: SinkThreadData = workerData;
const { runSink } = await import('../src/sinks/sink-thread.ts');
if (parentPort === null) throw new Error('a sink runs in a thread of its own');
flushCompileCache();
await runSink(data, parentPort);
