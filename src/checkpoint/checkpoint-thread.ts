/**
 * One checkpoint from start to end: finds the seq from which replay will start, has the store
 * written, removes what is no longer needed. The thread lives only as long as that takes.
 */
import { join } from 'node:path';
import type { FileSystem } from '../log/file-system.ts';
import { LogProgress, seqAtCursor } from '../log/progress.ts';
import { COMMIT_HEAD, CommitRing } from '../ring/commit-ring.ts';
import { Shard } from '../store/shard.ts';
import type { CheckpointMessage, CheckpointThreadData } from '../threads/shared-memory.ts';
import { temporaryName } from './format.ts';
import { Cancelled, Pace } from './pace.ts';
import { applyRetention } from './retention.ts';
import { writeCheckpoint } from './writer.ts';

/** Takes one checkpoint. Blocks its thread. Tells how it ended. */
export function runCheckpoint(
  data: CheckpointThreadData,
  files: FileSystem,
  tell: (message: CheckpointMessage) => void,
): void {
  const { memory, folder, logFolder, isPaced, retention, damaged } = data;
  const pace = new Pace(new Int32Array(data.cancel), isPaced);
  const startedMs = performance.now();
  const replayFrom = appliedBefore(
    new LogProgress(memory.progress),
    memory.commit,
    memory.appliers.length,
  );
  try {
    const result = writeCheckpoint({
      files,
      folder,
      shards: memory.shards.map((buffer) => new Shard(buffer)),
      replayFrom,
      nowMs: Date.now(),
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

/** The lowest seq that some applier may not have applied yet. */
function appliedBefore(progress: LogProgress, commit: SharedArrayBuffer, appliers: number): number {
  const ring = new CommitRing(commit, appliers);
  const known = progress.load();
  if (known === undefined) throw new Error('a checkpoint before the log was opened');
  // The cursors are read after the record: they only go up, so the seq is one that was applied.
  const head = Atomics.load(ring.cursors, COMMIT_HEAD);
  return seqAtCursor(known, (head - ring.backlog(head)) | 0);
}

function removeQuietly(files: FileSystem, folder: string): void {
  try {
    files.removeFolder(folder);
  } catch {
    // The next start removes it.
  }
}
