/**
 * How far the appliers have come, as a seq: all events up to it are in the store. Notifies whoever
 * waits for one of them. Main thread.
 */

import { appliedBefore } from '../ring/applied-before.ts';
import { COMMIT_BELL_BACK, type CommitRing } from '../ring/commit-ring.ts';
import type { LogProgress } from '../ring/progress.ts';
import { type SeqWaiter, SeqWatch } from '../ring/seq-watch.ts';

export type AppliedWaiter = SeqWaiter;

/** `seq` is the last one up to which every event is applied (or dead); 0 before the first. */
export class AppliedWatermark extends SeqWatch {
  constructor(ring: CommitRing, progress: LogProgress) {
    super(ring.cursors, COMMIT_BELL_BACK, () => (appliedBefore(progress, ring) ?? 1) - 1);
  }
}
