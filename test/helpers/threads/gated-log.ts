/** Entry of a log thread whose disk waits at gates, and fails when told; see `log-gates.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { type FileHandle, NodeFileSystem } from '../../../src/log/file-system.ts';
import type { LogThreadData } from '../../../src/write-path/log-messages.ts';
import { runLogThread } from '../../../src/write-path/log-thread.ts';
import { receivedGates } from './log-gates.ts';

class GatedFileSystem extends NodeFileSystem {
  readonly #gates = receivedGates();

  override openForReading(path: string): FileHandle {
    this.#gates.read.pass();
    return super.openForReading(path);
  }

  override syncData(file: FileHandle): void {
    this.#gates.flush.pass();
    if (Atomics.load(this.#gates.flushFails, 0) === 1) {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    }
    super.syncData(file);
  }
}

runLogThread(workerData as LogThreadData, new GatedFileSystem(), (message) => {
  parentPort?.postMessage(message);
});
