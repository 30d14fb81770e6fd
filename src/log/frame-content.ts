/**
 * What the next frame holds of the intake rings, in this order: everything pending in the live
 * rings, then some of the bulk rings. Log thread only.
 *
 *          tail               tail + claimed              head
 *   live  ───┼────── frame ───────┼──────── pending ────────┼──▶     seq n …
 *   bulk  ───┼────── frame ───────┼──────── pending ────────┼──▶     seq behind those
 *
 * With several producers there is such a pair for each of them: the frame has the live rings one after
 * the other, then the bulk rings. What a frame has no room for all of is shared: each ring gets the same,
 * what one has no use for goes to the others, and the first to be asked is another each time.
 *
 * A slot whose key is in the dedupe window is dropped: it gets the seq of the first and no place in
 * the frame. Everything else is kept and numbered, receipts of batches (dedupe/batch-receipt.ts) too; an
 * event that came without a time gets the log's.
 *
 * Fairness: an event of the live ring is in the next frame, whatever the bulk ring holds, so it
 * waits for the flush of one frame and for its own. While live events keep coming, frames are kept
 * short for their sake (BULK_SHARE); else bulk fills them. Bulk leaves room for a whole live ring in
 * the commit ring: a live event never waits for the appliers because of bulk. (Of one, however many
 * there are: QUEUE_SIZE bounds the events in all of them together.)
 *
 * (Over 300 lines: what is claimed, dropped and shared is one count, and is read together.)
 */
import assert from 'node:assert/strict';
import { isReceipt } from '../dedupe/batch-receipt.ts';
import {
  type DedupeWindow,
  KEY_CONFLICT,
  KEY_UNKNOWN,
  UNCOMMITTED_MAX,
} from '../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import type { LogCounters } from '../metrics/thread-counters.ts';
import {
  INTAKE_HEAD,
  INTAKE_TAIL,
  type IntakeRing,
  type IntakeRings,
  producersOf,
  publishTail,
} from '../ring/intake-ring.ts';
import { isAnyPending, type SharedEnd, shareOut } from '../ring/ring-shares.ts';
import {
  copySlots,
  FLAG_ARRIVAL_TIME,
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  isKeyed,
  KIND_FORGET,
  metaKind,
  SLOT_DOUBLES,
  SLOT_FINGERPRINT,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_SEQ,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import type { CommitPublisher } from './commit-publisher.ts';

/** Events in one frame at the most: bounds the frame's memory and the time of one flush. */
export const FRAME_SLOTS_MAX = 8192;

/** Bulk events in a frame while live events keep coming: the flush of 256 KB. */
export const BULK_SHARE = 2048;

/** Frames after the last live event that are still kept short: a client's next event may be near. */
const SHORT_FRAMES = 256;

/** The mask of a plain stretch of slots: it only has to cover it. */
const NO_WRAP = 0x3fffffff;

assert.ok(FRAME_SLOTS_MAX <= UNCOMMITTED_MAX);

export class FrameContent {
  /** Of each producer, the main thread's first. */
  readonly #live: readonly IntakeEnd[];
  readonly #bulk: readonly IntakeEnd[];
  /** All of them, in the frame's order. */
  readonly #ends: readonly IntakeEnd[];
  readonly #window: DedupeWindow;
  readonly #furtherTails: Float64Array;
  /** Slots of the commit ring that bulk leaves free: as many as there can be live events. */
  readonly #roomKept: number;
  /** Slots that one frame can hold at the most. */
  readonly slotsMax: number;
  #shortFrames = 0;
  /** Which producer is asked first for what is left over. */
  #first = 0;

  constructor(intakes: IntakeRings, window: DedupeWindow) {
    const producers = producersOf(intakes);
    this.#live = producers.map(({ live }) => new IntakeEnd(live));
    this.#bulk = producers.map(({ bulk }) => new IntakeEnd(bulk));
    this.#ends = [...this.#live, ...this.#bulk];
    this.#window = window;
    this.#furtherTails = new Float64Array(2 * (producers.length - 1));
    this.#roomKept = Math.max(...this.#live.map(({ ring }) => ring.capacity));
    const slots = this.#ends.reduce((sum, { ring }) => sum + ring.capacity, 0);
    this.slotsMax = Math.min(slots, FRAME_SLOTS_MAX);
  }

  /** The main thread's. */
  get liveTail(): number {
    return this.#live[0].tail;
  }

  get bulkTail(): number {
    return this.#bulk[0].tail;
  }

  /** Those of the further producers, as the progress record has them; the same array each time. */
  get furtherTails(): Float64Array {
    const tails = this.#furtherTails;
    for (let p = 1; p < this.#live.length; p++) {
      tails[2 * (p - 1)] = this.#live[p].tail;
      tails[2 * (p - 1) + 1] = this.#bulk[p].tail;
    }
    return tails;
  }

  /** Whether there is anything to claim. */
  get isPending(): boolean {
    return isAnyPending(this.#ends);
  }

  /** Slots of the commit ring that must be free before some of what is pending can be claimed. */
  get roomNeeded(): number {
    return isAnyPending(this.#live) ? 1 : this.#roomKept + 1;
  }

  /** Claims what goes into the next frame, `free` slots at the most. */
  claim(free: number): void {
    const most = Math.min(free, this.slotsMax);
    const live = shareOut(this.#live, most, this.#first);
    if (live > 0) this.#shortFrames = SHORT_FRAMES;
    else if (this.#shortFrames > 0) this.#shortFrames--;
    const bulkMost = this.#shortFrames > 0 ? BULK_SHARE : FRAME_SLOTS_MAX;
    const room = Math.max(0, Math.min(most - live, free - this.#roomKept));
    shareOut(this.#bulk, Math.min(bulkMost, room), this.#first);
    this.#first = (this.#first + 1) % this.#live.length;
  }

  /**
   * Numbers in place what was claimed, from `nextSeq` on, and gives the events that have no time of
   * their own `timeMs`, the log's, as their arrival; returns how many events were kept.
   */
  number(nextSeq: number, timeMs: number): number {
    let seq = nextSeq;
    for (const end of this.#ends) seq += end.number(seq, timeMs, this.#window);
    return seq - nextSeq;
  }

  /** Copies the slots kept to a plain stretch. */
  copyTo(frame: SlotViews): void {
    let to = 0;
    for (const end of this.#ends) {
      const { slots, mask } = end.ring;
      end.eachRun((cursor, count) => {
        copySlots(slots, mask, cursor, frame, NO_WRAP, to, count);
        to += count;
      });
    }
  }

  /** Writes the slots kept to the commit ring, and moves behind all that were claimed. */
  pass(commits: CommitPublisher, commitTimeMs: number): void {
    for (const end of this.#ends) {
      const { slots, mask } = end.ring;
      end.eachRun((cursor, count) => commits.write(slots, mask, cursor, count, commitTimeMs));
      end.tail = (end.tail + end.claimed) | 0;
    }
  }

  /** Notes the receipts among the slots passed, which are committed. */
  noteReceipts(window: ReceiptWindow): void {
    for (const { ring, tail, claimed, receipts } of this.#bulk) {
      for (const i of receipts) window.put(ring.slots, (tail - claimed + i) & ring.mask);
    }
  }

  /** Counts what was claimed, once it is settled. */
  count(counters: LogCounters): void {
    const live = sumOf(this.#live);
    const bulk = sumOf(this.#bulk);
    if (live.kept + bulk.kept > 0) counters.frameEvents.observe(live.kept + bulk.kept);
    counters.add('singleAccepted', live.kept - live.receipts);
    counters.add('batchAccepted', bulk.kept - bulk.receipts - bulk.notes);
    counters.add('singleDuplicates', live.drops - live.conflicts);
    counters.add('batchDuplicates', bulk.drops - bulk.conflicts);
    counters.add('batchConflicts', bulk.conflicts);
  }

  /** Settles the slots claimed for their producers. */
  settle(): void {
    for (const { ring, tail, claimed } of this.#ends) {
      if (claimed > 0) publishTail(ring, tail);
    }
  }
}

/** What the frame has of all of these rings. */
function sumOf(ends: readonly IntakeEnd[]) {
  const sum = { kept: 0, receipts: 0, notes: 0, drops: 0, conflicts: 0 };
  for (const end of ends) {
    sum.kept += end.kept;
    sum.receipts += end.receipts.length;
    sum.notes += end.notes;
    sum.drops += end.drops;
    sum.conflicts += end.conflicts;
  }
  return sum;
}

/** The log thread's end of one ring, and how many slots from there on are in the frame. */
class IntakeEnd implements SharedEnd {
  readonly ring: IntakeRing;
  tail: number;
  /** Slots pending when the frame was shared out. */
  found = 0;
  claimed = 0;
  /** Those of them that are receipts, counted from the tail, in order. */
  readonly receipts: number[] = [];
  /** Slots claimed and not kept, counted from the tail, in order. */
  readonly #dropped: Int32Array;
  /** How many there are. */
  drops = 0;
  /** Of these, events whose key stands for another one. */
  conflicts = 0;
  /** Slots claimed that are no events, but notes that a product is forgotten. */
  notes = 0;

  constructor(ring: IntakeRing) {
    this.ring = ring;
    this.tail = Atomics.load(ring.cursors, INTAKE_TAIL);
    this.#dropped = new Int32Array(Math.min(ring.capacity, FRAME_SLOTS_MAX));
  }

  /** Slots claimed that are in the frame. */
  get kept(): number {
    return this.claimed - this.drops;
  }

  pending(): number {
    return (Atomics.load(this.ring.cursors, INTAKE_HEAD) - this.tail) | 0;
  }

  /** Writes seqs from `nextSeq` on, and `timeMs`, to the slots claimed that are kept; counts them. */
  number(nextSeq: number, timeMs: number, window: DedupeWindow): number {
    const { slots, mask } = this.ring;
    const { words, doubles } = slots;
    const { tail, claimed } = this;
    this.drops = 0;
    this.conflicts = 0;
    this.notes = 0;
    this.receipts.length = 0;
    let seq = nextSeq;
    for (let i = 0; i < claimed; i++) {
      const index = (tail + i) & mask;
      // A receipt has a key, so that nothing without one is asked what it is.
      if (isKeyed(words, index)) {
        if (isReceipt(words, index)) this.receipts.push(i);
        else if (!isNew(slots, index, seq, window)) {
          this.#dropped[this.drops++] = i;
          if ((words[index * SLOT_WORDS + SLOT_META] & FLAG_CONFLICT) !== 0) this.conflicts++;
          continue;
        }
      }
      const d = index * SLOT_DOUBLES;
      doubles[d + SLOT_SEQ] = seq++;
      // In this pass, while the slot's cache line is here.
      const meta = words[index * SLOT_WORDS + SLOT_META];
      if ((meta & FLAG_ARRIVAL_TIME) !== 0) {
        doubles[d + SLOT_OCCURRED_AT] = timeMs;
        if (metaKind(meta) === KIND_FORGET) this.notes++;
      }
    }
    return seq - nextSeq;
  }

  /** Calls `visit` with the cursor and length of each run of slots kept, in order. */
  eachRun(visit: (cursor: number, count: number) => void): void {
    let from = 0;
    for (let n = 0; n <= this.drops; n++) {
      const to = n < this.drops ? this.#dropped[n] : this.claimed;
      if (to > from) visit((this.tail + from) | 0, to - from);
      from = to + 1;
    }
  }
}

/** Adds a keyed event as `seq` if its key is not known; else says in its slot what it is. */
function isNew(
  { words, doubles }: SlotViews,
  index: number,
  seq: number,
  window: DedupeWindow,
): boolean {
  const w = index * SLOT_WORDS;
  const known = window.seqOf(words, w + SLOT_FINGERPRINT);
  // What a thread that died found may have been something else.
  const meta = words[w + SLOT_META] & ~(FLAG_DUPLICATE | FLAG_CONFLICT);
  if (known === KEY_UNKNOWN) {
    words[w + SLOT_META] = meta;
    window.add(words, w + SLOT_FINGERPRINT, seq);
    return true;
  }
  const isConflict = known === KEY_CONFLICT;
  words[w + SLOT_META] = meta | (isConflict ? FLAG_CONFLICT : FLAG_DUPLICATE);
  doubles[index * SLOT_DOUBLES + SLOT_SEQ] = isConflict ? 0 : known;
  return false;
}
