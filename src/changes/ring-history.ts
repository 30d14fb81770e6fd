/**
 * The recent history: the commit ring, read long after the appliers passed. Main thread, reads only.
 *
 * The log thread overwrites applied slots without asking anybody here, and that is the point: the
 * feed never holds up a writer. So a reader may be lapped while it copies, and must know:
 *
 *            head + UNPUBLISHED_MAX − capacity            slowest applier    head
 *   ─ may be overwritten now ─┼──────── safe ─────────────────┼── not applied ─┼─ written, unseen ─
 *
 *   1. Reader: loads the progress record and takes the cursor of the seq that it wants.
 *   2. Reader: copies the slots, each word with Atomics.load.
 *   3. Reader: loads the head, again. What lies below the safe stretch of *this* head is thrown away.
 *
 * Why that is enough. The log thread writes at most UNPUBLISHED_MAX slots (one frame) beyond the head
 * that it has published, and between the Atomics.store of that head and the first slot beyond it
 * there is always an Atomics.load (the intake's heads and the appliers' cursors), which no later write
 * may overtake and which itself may not overtake the store. So a slot written over is visible only
 * after a head that is at most UNPUBLISHED_MAX below it. The reader's loads are atomic and stay in
 * their order: if step 2 saw any word of the new slot, step 3 sees that head, and the copy is
 * discarded. That the seq of each slot must be the expected one is not needed for this: it finds the
 * slots that never held an event of this seq (not used since the start).
 */
import assert from 'node:assert/strict';
import { FRAME_SLOTS_MAX } from '../log/frame-content.ts';
import { COMMIT_HEAD, type CommitRing } from '../ring/commit-ring.ts';
import type { LogProgress } from '../ring/progress.ts';
import { SLOT_DOUBLES, SLOT_SEQ, SLOT_WORDS } from '../ring/slot.ts';
import { type EventBatch, SLICE_EVENTS } from './event-batch.ts';

/** Slots that the log thread writes at the most before it publishes the head behind them. */
const UNPUBLISHED_MAX = FRAME_SLOTS_MAX;

export class RingHistory {
  readonly #ring: CommitRing;
  readonly #progress: LogProgress;
  readonly #safeSlots: number;

  constructor(ring: CommitRing, progress: LogProgress) {
    this.#ring = ring;
    this.#progress = progress;
    this.#safeSlots = ring.capacity - UNPUBLISHED_MAX;
    assert.ok(this.#safeSlots > 0, 'the commit ring is longer than a frame');
  }

  /**
   * Copies the events from seq `from` up to `until` (both applied) to `batch`, SLICE_EVENTS at the
   * most; returns how many. 0: the ring does not hold `from` any more.
   */
  copy(from: number, until: number, batch: EventBatch): number {
    const known = this.#progress.loadPlace();
    if (known === undefined || known.nextSeq - from > this.#safeSlots) return 0;
    const first = (known.commitHead - (known.nextSeq - from)) | 0;
    const wanted = Math.min(until - from + 1, SLICE_EVENTS);
    const { slots, mask, cursors } = this.#ring;
    const to = batch.slots;
    let count = 0;
    for (; count < wanted; count++) {
      const source = ((first + count) & mask) * SLOT_WORDS;
      const target = count * SLOT_WORDS;
      for (let i = 0; i < SLOT_WORDS; i++) {
        to.words[target + i] = Atomics.load(slots.words, source + i);
      }
      if (to.doubles[count * SLOT_DOUBLES + SLOT_SEQ] !== from + count) break;
    }
    // Pairs with the log thread's Atomics.store of the head; see the story above.
    const head = Atomics.load(cursors, COMMIT_HEAD);
    const isSafe = ((head - first) | 0) <= this.#safeSlots;
    return isSafe ? count : 0;
  }
}
