/**
 * The batch: what the next frame takes of the two intake rings, in this order: everything pending
 * in the live ring, then some of the bulk ring. Log thread only.
 *
 *          tail                tail + taken               head
 *   live  ───┼────── batch ───────┼──────── pending ────────┼──▶     seq   n … n+live−1
 *   bulk  ───┼────── batch ───────┼──────── pending ────────┼──▶     seq   n+live …
 *
 * Fairness: an event of the live ring is in the next frame, whatever the bulk ring holds, so it
 * waits for the flush of one frame and for its own. While live events keep coming, frames are kept
 * short for their sake (BULK_SHARE); else bulk fills them. Bulk leaves room for a whole live ring in
 * the commit ring: a live event never waits for the appliers because of bulk.
 */
import {
  INTAKE_HEAD,
  INTAKE_TAIL,
  type IntakeRing,
  type IntakeRings,
  publishTail,
} from '../ring/intake-ring.ts';
import { copySlots, SLOT_DOUBLES, SLOT_SEQ, type SlotViews } from '../ring/slot.ts';
import type { CommitPublisher } from './commit-publisher.ts';

/** Events in one frame at the most: bounds the frame's memory and the time of one flush. */
export const BATCH_SLOTS_MAX = 8192;

/** Bulk events in a frame while live events keep coming: the flush of 256 KB. */
export const BULK_SHARE = 2048;

/** Frames after the last live event that are still kept short: a client's next event may be near. */
const SHORT_FRAMES = 256;

/** The mask of a plain stretch of slots: it only has to cover it. */
const NO_WRAP = 0x3fffffff;

export class Batch {
  readonly #live: IntakeEnd;
  readonly #bulk: IntakeEnd;
  #shortFrames = 0;

  constructor(intakes: IntakeRings) {
    this.#live = new IntakeEnd(intakes.live);
    this.#bulk = new IntakeEnd(intakes.bulk);
  }

  /** Events that one batch can have at the most. */
  get slotsMax(): number {
    return Math.min(this.#live.ring.capacity + this.#bulk.ring.capacity, BATCH_SLOTS_MAX);
  }

  get liveTail(): number {
    return this.#live.tail;
  }

  get bulkTail(): number {
    return this.#bulk.tail;
  }

  /** Whether there is anything to take. */
  get isPending(): boolean {
    return this.#live.pending() > 0 || this.#bulk.pending() > 0;
  }

  /** Slots of the commit ring that must be free before some of what is pending can be taken. */
  get roomNeeded(): number {
    return this.#live.pending() > 0 ? 1 : this.#roomKept + 1;
  }

  /** Takes what goes into the next frame, `free` slots at the most; returns how many. */
  take(free: number): number {
    const most = Math.min(free, this.slotsMax);
    const live = Math.min(this.#live.pending(), most);
    if (live > 0) this.#shortFrames = SHORT_FRAMES;
    else if (this.#shortFrames > 0) this.#shortFrames--;
    const share = this.#shortFrames > 0 ? BULK_SHARE : BATCH_SLOTS_MAX;
    const room = Math.max(0, Math.min(most - live, free - this.#roomKept));
    this.#live.taken = live;
    this.#bulk.taken = Math.min(this.#bulk.pending(), share, room);
    return this.#live.taken + this.#bulk.taken;
  }

  /** Writes seqs from `nextSeq` on to the slots taken, in place. */
  number(nextSeq: number): void {
    this.#live.number(nextSeq);
    this.#bulk.number(nextSeq + this.#live.taken);
  }

  /** Copies the slots taken to a plain stretch. */
  copyTo(frame: SlotViews): void {
    const live = this.#live;
    const bulk = this.#bulk;
    copySlots(live.ring.slots, live.ring.mask, live.tail, frame, NO_WRAP, 0, live.taken);
    copySlots(bulk.ring.slots, bulk.ring.mask, bulk.tail, frame, NO_WRAP, live.taken, bulk.taken);
  }

  /** Writes the slots taken to the commit ring, and moves behind them. */
  pass(commits: CommitPublisher, commitTimeMs: number): void {
    for (const end of [this.#live, this.#bulk]) {
      const { ring, tail, taken } = end;
      if (taken > 0) commits.write(ring.slots, ring.mask, tail, taken, commitTimeMs);
      end.tail = (tail + taken) | 0;
    }
  }

  /** Settles the slots taken for the main thread. */
  settle(): void {
    for (const { ring, tail, taken } of [this.#live, this.#bulk]) {
      if (taken > 0) publishTail(ring, tail);
    }
  }

  get #roomKept(): number {
    return this.#live.ring.capacity;
  }
}

/** The log thread's end of one ring, and how many slots from there on are in the batch. */
class IntakeEnd {
  readonly ring: IntakeRing;
  tail: number;
  taken = 0;

  constructor(ring: IntakeRing) {
    this.ring = ring;
    this.tail = Atomics.load(ring.cursors, INTAKE_TAIL);
  }

  pending(): number {
    return (Atomics.load(this.ring.cursors, INTAKE_HEAD) - this.tail) | 0;
  }

  number(nextSeq: number): void {
    const { slots, mask } = this.ring;
    for (let i = 0; i < this.taken; i++) {
      slots.doubles[((this.tail + i) & mask) * SLOT_DOUBLES + SLOT_SEQ] = nextSeq + i;
    }
  }
}
