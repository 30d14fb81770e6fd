/**
 * Events copied out of the history, in memory of the main thread's own: nobody else writes here.
 * One is shared by all readers, because a slice is copied and passed on in one step.
 */
import { SLOT_BYTES, SlotViews } from '../ring/slot.ts';

/** Events passed on in one turn of the event loop at the most: about a millisecond's work. */
export const SLICE_EVENTS = 512;

export class EventBatch {
  readonly slots: SlotViews;
  /** The same memory, to read text from. */
  readonly bytes: Buffer;

  constructor() {
    const memory = new ArrayBuffer(SLICE_EVENTS * SLOT_BYTES);
    this.slots = new SlotViews(memory, 0, SLICE_EVENTS);
    this.bytes = Buffer.from(memory);
  }
}
