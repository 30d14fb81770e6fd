/**
 * The slots of this instance's intake rings, from pending over proposed to settled. Log thread.
 *
 *           tail                 proposed                head
 *   ──────────┼── on their way ──────┼────── pending ──────┼──▶      of the live ring and of the bulk ring
 *
 * A message takes what is pending in the live ring, then some of the bulk ring, and says how many of each;
 * so when it comes back, its slots are the next ones behind the tails, whoever sent it.
 */
import { isReceipt } from '../dedupe/batch-receipt.ts';
import type { LogCounters } from '../metrics/thread-counters.ts';
import {
  INTAKE_HEAD,
  INTAKE_TAIL,
  type IntakeRing,
  type IntakeRings,
  publishTail,
} from '../ring/intake-ring.ts';
import {
  copySlots,
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  FLAG_NO_ROOM,
  FLAG_RESERVED,
  FLAGS_OF_MEMORY,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_HASH,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../ring/slot.ts';
import { MESSAGE_SLOTS_MAX } from './message.ts';

/** Bulk events in a frame while live events keep coming. */
const BULK_SHARE = 2048;
/** Frames after the last live event that are still kept short. */
const SHORT_FRAMES = 256;
const NO_WRAP = 0x3fffffff;
const DROPPED = FLAG_DUPLICATE | FLAG_CONFLICT | FLAG_NO_ROOM;

/** How many slots of each ring a message has. */
export interface SlotCounts {
  readonly live: number;
  readonly bulk: number;
}

export interface TakenSlots extends SlotCounts {
  /** As they go to the stream; used again by the next call. */
  readonly body: Uint8Array;
}

export class OwnSlots {
  readonly #live: OwnRing;
  readonly #bulk: OwnRing;
  readonly #body = new SlotViews(
    new ArrayBuffer(MESSAGE_SLOTS_MAX * SLOT_BYTES),
    0,
    MESSAGE_SLOTS_MAX,
  );
  #shortFrames = 0;

  constructor({ live, bulk }: IntakeRings) {
    this.#live = new OwnRing(live);
    this.#bulk = new OwnRing(bulk);
  }

  get liveTail(): number {
    return this.#live.tail;
  }

  get bulkTail(): number {
    return this.#bulk.tail;
  }

  /** Whether there is anything that is not settled. */
  get isUnsettled(): boolean {
    return this.#live.unsettled > 0 || this.#bulk.unsettled > 0;
  }

  /** The slots of the next message; `undefined` when nothing is pending. */
  takeNext(): TakenSlots | undefined {
    const live = Math.min(this.#live.pending, MESSAGE_SLOTS_MAX);
    if (live > 0) this.#shortFrames = SHORT_FRAMES;
    else if (this.#shortFrames > 0) this.#shortFrames--;
    const share = this.#shortFrames > 0 ? BULK_SHARE : MESSAGE_SLOTS_MAX;
    const bulk = Math.min(this.#bulk.pending, share, MESSAGE_SLOTS_MAX - live);
    const count = live + bulk;
    if (count === 0) return undefined;
    this.#live.take(live, this.#body, 0);
    this.#bulk.take(bulk, this.#body, live);
    for (let i = 0; i < count; i++) {
      const w = i * SLOT_WORDS;
      this.#body.words[w + SLOT_HASH] = 0;
      this.#body.words[w + SLOT_META] &= ~FLAGS_OF_MEMORY;
      this.#body.doubles[i * SLOT_DOUBLES + SLOT_SEQ] = 0;
    }
    return { live, bulk, body: this.#body.bytes.subarray(0, count * SLOT_BYTES) };
  }

  /** Everything not settled is pending again. */
  rewind(): void {
    this.#live.proposed = this.#live.tail;
    this.#bulk.proposed = this.#bulk.tail;
  }

  /** Whether the admission reserved room for the slot `i` of the message that is next to be settled. */
  isReserved({ live }: SlotCounts, i: number): boolean {
    return i < live ? this.#live.isReserved(i) : this.#bulk.isReserved(i - live);
  }

  /** Writes to the slots of the message that is next to be settled what `judged` says of them. */
  tell({ live, bulk }: SlotCounts, judged: SlotViews): void {
    this.#live.tell(live, judged, 0);
    this.#bulk.tell(bulk, judged, live);
  }

  /** Moves behind the slots of that message. */
  pass({ live, bulk }: SlotCounts): void {
    this.#live.tail = (this.#live.tail + live) | 0;
    this.#bulk.tail = (this.#bulk.tail + bulk) | 0;
    // They were proposed by a predecessor, perhaps.
    this.#live.proposed = laterOf(this.#live.proposed, this.#live.tail);
    this.#bulk.proposed = laterOf(this.#bulk.proposed, this.#bulk.tail);
  }

  /** Settles what was passed, for the main thread. */
  settle(): void {
    for (const { ring, tail } of [this.#live, this.#bulk]) {
      if (Atomics.load(ring.cursors, INTAKE_TAIL) !== tail) publishTail(ring, tail);
    }
  }

  /** Counts the slots of a message that is settled. */
  count(counters: LogCounters, { words }: SlotViews, live: number, bulk: number): void {
    const counts = { accepted: 0, repeated: 0, conflicts: 0 };
    const add = (i: number) => {
      const meta = words[i * SLOT_WORDS + SLOT_META];
      if ((meta & FLAG_CONFLICT) !== 0) counts.conflicts++;
      else if ((meta & FLAG_DUPLICATE) !== 0) counts.repeated++;
      else if ((meta & DROPPED) === 0 && !isReceipt(words, i)) counts.accepted++;
    };
    for (let i = 0; i < live; i++) add(i);
    counters.add('singleAccepted', counts.accepted);
    counters.add('singleDuplicates', counts.repeated);
    counts.accepted = 0;
    counts.repeated = 0;
    counts.conflicts = 0;
    for (let i = live; i < live + bulk; i++) add(i);
    counters.add('batchAccepted', counts.accepted);
    counters.add('batchDuplicates', counts.repeated);
    counters.add('batchConflicts', counts.conflicts);
  }
}

/** The log thread's end of one ring. */
class OwnRing {
  readonly ring: IntakeRing;
  tail: number;
  proposed: number;

  constructor(ring: IntakeRing) {
    this.ring = ring;
    this.tail = Atomics.load(ring.cursors, INTAKE_TAIL);
    this.proposed = this.tail;
  }

  get pending(): number {
    return (Atomics.load(this.ring.cursors, INTAKE_HEAD) - this.proposed) | 0;
  }

  get unsettled(): number {
    return (Atomics.load(this.ring.cursors, INTAKE_HEAD) - this.tail) | 0;
  }

  take(count: number, to: SlotViews, at: number): void {
    const { slots, mask } = this.ring;
    copySlots(slots, mask, this.proposed, to, NO_WRAP, at, count);
    this.proposed = (this.proposed + count) | 0;
  }

  isReserved(i: number): boolean {
    const { slots, mask } = this.ring;
    const w = ((this.tail + i) & mask) * SLOT_WORDS;
    return (slots.words[w + SLOT_META] & FLAG_RESERVED) !== 0;
  }

  tell(count: number, { words, doubles }: SlotViews, from: number): void {
    const { slots, mask } = this.ring;
    for (let i = 0; i < count; i++) {
      const index = (this.tail + i) & mask;
      const w = index * SLOT_WORDS;
      const told = words[(from + i) * SLOT_WORDS + SLOT_META] & DROPPED;
      slots.words[w + SLOT_META] = (slots.words[w + SLOT_META] & ~DROPPED) | told;
      const d = (from + i) * SLOT_DOUBLES;
      slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ] = doubles[d + SLOT_SEQ];
      slots.doubles[index * SLOT_DOUBLES + SLOT_OCCURRED_AT] = doubles[d + SLOT_OCCURRED_AT];
    }
  }
}

function laterOf(a: number, b: number): number {
  return ((b - a) | 0) > 0 ? b : a;
}
