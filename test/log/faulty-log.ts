/**
 * Entry of a log thread whose disk fails while the first word of `faults` is 1: every write and
 * flush gives EIO, and the second word counts them. The words come with what the thread is given; see
 * pipeline.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type FileHandle, NodeFileSystem } from '../../src/log/file-system.ts';
import type { LogThreadData } from '../../src/write-path/log-messages.ts';
import { runLogThread } from '../../src/write-path/log-thread.ts';

const { faults } = workerData as { faults: Int32Array };

class FaultyFileSystem extends NodeFileSystem {
  override write(...args: Parameters<NodeFileSystem['write']>): number {
    failIfTold();
    return super.write(...args);
  }

  override syncData(file: FileHandle): void {
    failIfTold();
    super.syncData(file);
  }
}

function failIfTold(): void {
  if (Atomics.load(faults, 0) === 0) return;
  Atomics.add(faults, 1, 1);
  throw Object.assign(new Error('EIO'), { code: 'EIO' });
}

runLogThread(workerData as LogThreadData, new FaultyFileSystem(), (message) => {
  parentPort?.postMessage(message);
});
