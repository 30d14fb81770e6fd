/**
 * Where a batch that is taken whole or not at all lies until it is validated: slots in blocks, in
 * memory of the batch's own, with each event's number. Main thread.
 *
 * Bounded by BATCH_LIMIT: the shortest event has 39 bytes of text and 128 + 4 here.
 */
import { SLOT_BYTES, SlotViews } from '../ring/slot.ts';

const BLOCK_SLOTS = 4096;

export interface StagedBlock {
  readonly slots: SlotViews;
  /** The number of the event in each slot. */
  readonly numbers: Int32Array;
  /** Slots filled. */
  count: number;
}

export class Staging {
  readonly #blocks: StagedBlock[] = [];
  #last: StagedBlock | undefined;

  /** The blocks, in order. */
  get blocks(): readonly StagedBlock[] {
    return this.#blocks;
  }

  /** The block that the next event goes to, at its `count`. */
  next(): StagedBlock {
    if (this.#last === undefined || this.#last.count === BLOCK_SLOTS) {
      this.#last = {
        slots: new SlotViews(new ArrayBuffer(BLOCK_SLOTS * SLOT_BYTES), 0, BLOCK_SLOTS),
        numbers: new Int32Array(BLOCK_SLOTS),
        count: 0,
      };
      this.#blocks.push(this.#last);
    }
    return this.#last;
  }
}
