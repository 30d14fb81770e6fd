/**
 * How far the appliers are, as a seq: where log progress and commit ring meet. Any thread.
 */
import { COMMIT_HEAD, type CommitRing } from './commit-ring.ts';
import { type LogProgress, seqAtCursor } from './progress.ts';

/**
 * The lowest seq that some applier may not have applied yet (or found dead): all before it are in the
 * store. `undefined` when the log was never opened.
 */
export function appliedBefore(progress: LogProgress, ring: CommitRing): number | undefined {
  const place = progress.loadPlace();
  if (place === undefined) return undefined;
  // The cursors are read after the record, with Atomics that pair with the stores of the log thread and
  // the appliers: they only go up, so the seq is one up to which all were applied.
  const head = Atomics.load(ring.cursors, COMMIT_HEAD);
  return seqAtCursor(place, (head - ring.backlog(head)) | 0);
}
