/**
 * What the successor of a log thread that died does first, whichever log it is: what was committed is
 * settled and published, the rest is done again. Log thread.
 */
import { isReceipt } from '../dedupe/batch-receipt.ts';
import type { DedupeWindow } from '../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import {
  INTAKE_TAIL,
  type IntakeRing,
  type IntakeRings,
  publishTail,
} from '../ring/intake-ring.ts';
import type { Progress } from '../ring/progress.ts';
import type { CommitPublisher } from './commit-publisher.ts';

/** What a log thread that died has left in shared memory. */
export interface LeftBehind {
  readonly intakes: IntakeRings;
  readonly dedupe: DedupeWindow;
  readonly receipts: ReceiptWindow;
}

export function resumeCommitted(
  { intakes, dedupe, receipts }: LeftBehind,
  commits: CommitPublisher,
  died: Progress,
): void {
  dedupe.takeOver(died.nextSeq);
  receipts.takeOver(() => putUnsettled(intakes.bulk, died.bulkTail, receipts));
  commits.resume(died.commitHead);
  publishTail(intakes.live, died.liveTail);
  publishTail(intakes.bulk, died.bulkTail);
}

/** Puts the receipts in slots that are committed, up to the cursor `tail`, and not settled. */
function putUnsettled({ slots, cursors, mask }: IntakeRing, tail: number, to: ReceiptWindow): void {
  for (let c = Atomics.load(cursors, INTAKE_TAIL); c !== tail; c = (c + 1) | 0) {
    if (isReceipt(slots.words, c & mask)) to.put(slots, c & mask);
  }
}
