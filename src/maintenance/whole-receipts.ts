/**
 * Which receipts of batches a repair keeps where events are lost, and as what. A receipt lets a
 * repetition of its batch pass over all that it speaks of: so none is kept that speaks of a lost event,
 * and such a batch, sent again, brings it back. All others are kept: without them a batch longer than the
 * dedupe window would be applied once more, over what came since. Main thread of a tool.
 *
 *   receipt  first seq ─── events it speaks of ─── its own seq ── perhaps more events of the batch
 *   lost            no loss in here: it is kept                   a loss here: it is not the last word
 */
import { RECEIPT_COMPLETE, receiptIn, reopenReceipt } from '../dedupe/batch-receipt.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import type { SlotViews } from '../ring/slot.ts';
import type { SeqRange } from './repair-plan.ts';

/** Which events are lost: those in `ranges`, and perhaps any from `unknownFrom` on. */
export interface Losses {
  readonly ranges: readonly Pick<SeqRange, 'fromSeq' | 'toSeq'>[];
  readonly unknownFrom: number | undefined;
}

export class WholeReceipts implements Pick<ReceiptWindow, 'all'> {
  readonly #receipts: Pick<ReceiptWindow, 'all'>;
  readonly #losses: Losses;

  constructor(receipts: Pick<ReceiptWindow, 'all'>, losses: Losses) {
    this.#receipts = receipts;
    this.#losses = losses;
  }

  *all(): Generator<SlotViews, void, void> {
    for (const slots of this.#receipts.all()) {
      const { seq, events, rejected, firstSeq, state } = receiptIn(slots, 0);
      // Where none of its events was settled yet when it was written, nobody knows where they begin.
      const from = events === rejected ? seq : firstSeq || 1;
      if (this.#isLossBetween(from, seq)) continue;
      // A newer receipt, and events before it, may be among the lost. Behind a complete one nothing came.
      const mayHaveMore = this.#isLossBetween(seq, Number.POSITIVE_INFINITY);
      if (mayHaveMore && state !== RECEIPT_COMPLETE) reopenReceipt(slots, 0);
      yield slots;
    }
  }

  #isLossBetween(from: number, to: number): boolean {
    const { ranges, unknownFrom } = this.#losses;
    if (unknownFrom !== undefined && to >= unknownFrom) return true;
    return ranges.some(({ fromSeq, toSeq }) => fromSeq <= to && toSeq >= from);
  }
}
