/** What the successor of a replicated log's thread does first. Log thread. */
import { isReceipt } from '../dedupe/batch-receipt.ts';
import type { CommitPublisher } from '../log/commit-publisher.ts';
import { unpackSegmentEnds } from '../log/segment-ends.ts';
import type { LogTail } from '../log/sequencer.ts';
import { type LeftBehind, resumeCommitted } from '../log/take-over.ts';
import { COMMIT_HEAD, type CommitRing } from '../ring/commit-ring.ts';
import type { Progress } from '../ring/progress.ts';

/**
 * Settles and publishes what is committed; returns where the local log goes on. Receipts that another
 * instance's batch brought stand in no intake ring: those of the last frame are still behind the published
 * head of the commit ring.
 */
export function resumeReplica(
  left: LeftBehind,
  ring: CommitRing,
  commits: CommitPublisher,
  died: Progress,
): LogTail {
  const { cursors, slots, mask } = ring;
  left.receipts.takeOver(() => {
    for (let c = Atomics.load(cursors, COMMIT_HEAD); c !== died.commitHead; c = (c + 1) | 0) {
      if (isReceipt(slots.words, c & mask)) left.receipts.put(slots, c & mask);
    }
  });
  resumeCommitted(left, commits, died);
  const { segment, previous, lastTimeMs = 0 } = unpackSegmentEnds(died.own);
  const { nextSeq } = died;
  return { nextSeq, segment, previous, lastFrameBytes: 0, fresh: true, lastTimeMs };
}
