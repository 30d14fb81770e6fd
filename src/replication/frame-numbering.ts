/**
 * The slots of one frame on their way from the stream's body to numbered events: hashes, repetitions, room,
 * numbers, times. By what the stream held before the frame, and nothing else. Log thread.
 */
import { isReceipt } from '../dedupe/batch-receipt.ts';
import { type DedupeWindow, KEY_CONFLICT, KEY_UNKNOWN } from '../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import {
  copySlots,
  FLAG_ARRIVAL_TIME,
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  FLAG_NO_ROOM,
  FLAGS_OF_MEMORY,
  isKeyed,
  metaIdBytes,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_FINGERPRINT,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../ring/slot.ts';
import { hashId } from '../store/id-hash.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import { MESSAGE_SLOTS_MAX } from './message.ts';
import type { StoreRoom } from './store-room.ts';

/** Of slots that lie in one piece. */
export const NO_WRAP = 0x3fffffff;

export interface FrameNumberingOptions {
  readonly dedupe: DedupeWindow;
  /** Keyed events that are known: the cluster's, not what the window has room for. */
  readonly dedupeEvents: number;
  readonly hashKey: HashKey;
}

/** What a frame is numbered by, beside the windows. */
export interface FrameFacts {
  /** Number of its first event. */
  readonly firstSeq: number;
  readonly timeMs: number;
  /** Given where not all new products may fit. */
  readonly room: StoreRoom | undefined;
}

export class FrameNumbering {
  readonly #options: FrameNumberingOptions;
  /** The slots of the frame at hand, with hashes, as they go to the commit ring. */
  readonly slots = new SlotViews(
    new ArrayBuffer(MESSAGE_SLOTS_MAX * SLOT_BYTES),
    0,
    MESSAGE_SLOTS_MAX,
  );
  /** Indexes of the slots kept. */
  readonly #kept = new Int32Array(MESSAGE_SLOTS_MAX);

  constructor(options: FrameNumberingOptions) {
    this.#options = options;
  }

  /** Takes the `count` slots of a frame's body. */
  load(count: number, body: Uint8Array): void {
    this.slots.bytes.set(body);
    const { words } = this.slots;
    for (let i = 0; i < count; i++) {
      const w = i * SLOT_WORDS;
      const meta = words[w + SLOT_META] & ~FLAGS_OF_MEMORY;
      words[w + SLOT_META] = meta;
      if (isReceipt(words, i)) continue;
      const idBytes = metaIdBytes(meta);
      words[w + SLOT_HASH] = hashId(this.#options.hashKey, words, w + SLOT_ID, idBytes);
    }
  }

  /** Numbers the slots that count, marks the others; returns how many count. */
  number(count: number, { firstSeq, timeMs, room }: FrameFacts): number {
    const { dedupe, dedupeEvents } = this.#options;
    const { words, doubles } = this.slots;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const w = i * SLOT_WORDS;
      const d = i * SLOT_DOUBLES;
      const seq = firstSeq + kept;
      const isNoEvent = isReceipt(words, i);
      const hasKey = isKeyed(words, i) && !isNoEvent;
      if (hasKey) {
        const known = dedupe.seqAmongLast(dedupeEvents, words, w + SLOT_FINGERPRINT);
        if (known !== KEY_UNKNOWN) {
          const isConflict = known === KEY_CONFLICT;
          words[w + SLOT_META] |= isConflict ? FLAG_CONFLICT : FLAG_DUPLICATE;
          doubles[d + SLOT_SEQ] = isConflict ? 0 : known;
          continue;
        }
      }
      if (room !== undefined && !isNoEvent && !room.fits(this.slots, i)) {
        words[w + SLOT_META] |= FLAG_NO_ROOM;
        doubles[d + SLOT_SEQ] = 0;
        continue;
      }
      if (hasKey) dedupe.add(words, w + SLOT_FINGERPRINT, seq);
      doubles[d + SLOT_SEQ] = seq;
      if ((words[w + SLOT_META] & FLAG_ARRIVAL_TIME) !== 0) doubles[d + SLOT_OCCURRED_AT] = timeMs;
      this.#kept[kept++] = i;
    }
    return kept;
  }

  /** Copies the slots kept to `to`, as they go to disk. */
  copyKept(kept: number, to: SlotViews): void {
    this.eachRun(kept, (from, count, at) =>
      copySlots(this.slots, NO_WRAP, from, to, NO_WRAP, at, count),
    );
    for (let w = 0; w < kept * SLOT_WORDS; w += SLOT_WORDS) {
      to.words[w + SLOT_HASH] = 0;
      to.words[w + SLOT_META] &= ~FLAGS_OF_MEMORY;
    }
  }

  /** Calls `visit` with each run of slots kept: its index, its length, and how many came before it. */
  eachRun(kept: number, visit: (from: number, count: number, before: number) => void): void {
    for (let i = 0; i < kept; ) {
      const from = this.#kept[i];
      let count = 1;
      while (i + count < kept && this.#kept[i + count] === from + count) count++;
      visit(from, count, i);
      i += count;
    }
  }

  /** Takes the receipts among the slots kept into the window. */
  keepReceipts(kept: number, receipts: ReceiptWindow): void {
    for (let i = 0; i < kept; i++) {
      const index = this.#kept[i];
      if (isReceipt(this.slots.words, index)) receipts.put(this.slots, index);
    }
  }
}
