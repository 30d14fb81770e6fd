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
  producersOf,
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
  const further = died.furtherTails ?? [];
  const tails = [died.liveTail, died.bulkTail, ...further];
  const producers = producersOf(intakes).map(({ live, bulk }, p) => ({
    live,
    bulk,
    liveTail: tails[2 * p],
    bulkTail: tails[2 * p + 1],
  }));
  dedupe.takeOver(died.nextSeq);
  receipts.takeOver(() => {
    // In the frame's order.
    for (const { bulk, bulkTail } of producers) putUnsettled(bulk, bulkTail, receipts);
  });
  commits.resume(died.commitHead);
  for (const { live, liveTail } of producers) publishTail(live, liveTail);
  for (const { bulk, bulkTail } of producers) publishTail(bulk, bulkTail);
}

/** Puts the receipts in slots that are committed, up to the cursor `tail`, and not settled. */
function putUnsettled({ slots, cursors, mask }: IntakeRing, tail: number, to: ReceiptWindow): void {
  for (let c = Atomics.load(cursors, INTAKE_TAIL); c !== tail; c = (c + 1) | 0) {
    if (isReceipt(slots.words, c & mask)) to.put(slots, c & mask);
  }
}
