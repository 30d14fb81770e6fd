/**
 * One checkpoint from start to end: finds the seq from which replay will start, has the store
 * written, removes what is no longer needed. The thread lives only as long as that takes.
 */
import { join } from 'node:path';
import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../dedupe/receipt-window.ts';
import type { FileSystem } from '../log/file-system.ts';
import { readIdentity } from '../log/log-identity.ts';
import { OutcomeWindow } from '../outcome/outcome-window.ts';
import { Shard } from '../store/shard.ts';
import { AppliedEvents, type WaitForAppliers, waitForBell } from './applied-events.ts';
import type { CheckpointMessage, CheckpointThreadData } from './checkpoint-messages.ts';
import { temporaryName } from './format.ts';
import { Cancelled, Pace } from './pace.ts';
import { applyRetention } from './retention.ts';
import { writeCheckpoint } from './writer.ts';

/** Takes one checkpoint. Blocks its thread. Tells how it ended. `wait` is for tests. */
export function runCheckpoint(
  data: CheckpointThreadData,
  files: FileSystem,
  tell: (message: CheckpointMessage) => void,
  wait: WaitForAppliers = waitForBell,
): void {
  const { memory, folder, logFolder, isPaced, retention, damaged } = data;
  const pace = new Pace(new Int32Array(data.cancel), isPaced);
  const startedMs = performance.now();
  const events = new AppliedEvents(memory, wait);
  const replayFrom = events.appliedBefore();
  try {
    const result = writeCheckpoint({
      files,
      folder,
      shards: memory.shards.map((buffer) => new Shard(buffer)),
      replayFrom,
      nowMs: Date.now(),
      log: readIdentity(files, logFolder, replayFrom),
      windows: {
        dedupe: new DedupeWindow(memory.dedupe, memory.hashKey),
        receipts: new ReceiptWindow(memory.receipts, memory.hashKey),
        outcomes: {
          window: new OutcomeWindow(memory.outcomes),
          nextSeq: () => events.nextSeq(),
          waitUntilApplied: (seq) => events.waitUntilApplied(seq, () => pace.look()),
        },
      },
      pause: () => pace.restOrThrow(),
    });
    const removed = applyRetention({
      files,
      logFolder,
      checkpointFolder: folder,
      retention,
      // A damaged one of this seq was replaced.
      damaged: damaged.filter((seq) => seq !== replayFrom),
      nowMs: Date.now(),
      goOn: () => pace.rest(),
    });
    const durationMs = performance.now() - startedMs;
    tell({ type: 'checkpoint', ...result, removed, durationMs });
  } catch (error) {
    removeQuietly(files, join(folder, temporaryName(replayFrom)));
    if (error instanceof Cancelled) tell({ type: 'cancelled' });
    else tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
}

function removeQuietly(files: FileSystem, folder: string): void {
  try {
    files.removeFolder(folder);
  } catch {
    // The next start removes it.
  }
}
