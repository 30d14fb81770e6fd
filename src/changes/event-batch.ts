/**
 * Events copied out of the history, in memory of the main thread's own: nobody else writes here.
 * One is shared by all readers, because a slice is copied and passed on in one step.
 */
import {
  metaIdBytes,
  SLOT_BYTES,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_WORDS,
  SlotViews,
} from '../ring/slot.ts';
import { hashId } from '../store/id-hash.ts';
import type { HashKey } from '../threads/shared-memory.ts';

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

  /** Fills in the hashes of the first `count` ids. */
  hash(count: number, key: HashKey): void {
    const { words } = this.slots;
    for (let w = 0; w < count * SLOT_WORDS; w += SLOT_WORDS) {
      const idBytes = metaIdBytes(words[w + SLOT_META]);
      words[w + SLOT_HASH] = hashId(key, words, w + SLOT_ID, idBytes);
    }
  }
}
