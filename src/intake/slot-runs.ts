/**
 * Whose the slots of the bulk ring are, from claimed to settled, and what becomes of them. Main
 * thread; `bulk-intake.ts` claims and says how far the log thread has come.
 *
 * A batch queues its events one behind the other, so runs of slots say whose each one is, without
 * a word for each. Settling goes through runs from the front, in the ring's order. Events without keys are
 * all durable, and the seqs at both ends say those between. Of events with keys the sequencer may
 * have dropped some, and marked their slots: repeated (durable from before) or in conflict (not
 * accepted); those went no further, so the room reserved for them is given back here.
 */
import type { IntakeRing } from '../ring/intake-ring.ts';
import {
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  FLAG_NO_ROOM,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
} from '../ring/slot.ts';
import type { Batch } from './batch.ts';
import type { DurableAges } from './durable-ages.ts';
import type { SlotAdmission } from './slot-admission.ts';

/** Events of one batch, queued one behind the other, whose numbers follow one another. */
interface Run {
  readonly batch: Batch;
  /** Whether any of them has a key, so that the sequencer may have dropped it. */
  readonly isKeyed: boolean;
  /** Whether these are no events, but the batch's receipts. */
  readonly isReceipts: boolean;
  /** Number of the run's first unsettled event. */
  number: number;
  /** Unsettled events. */
  count: number;
  /** When the first of them was queued, by `performance.now()`. */
  readonly queuedAtMs: number;
}

/** Whose events these are, whether they have keys, and the number of the first. */
export type NewRun = Pick<Run, 'batch' | 'isKeyed' | 'number'>;

/** Settled runs that may stay at the front before the array is cut. */
const SETTLED_RUNS_MAX = 1024;

export class SlotRuns {
  readonly #ring: IntakeRing;
  readonly #admission: SlotAdmission;
  readonly #ages: DurableAges | undefined;
  readonly #isLogShared: boolean;
  /** Oldest first; what was settled stays until the array is cut, at `#first`. */
  #runs: Run[] = [];
  #first = 0;

  /** `isLogShared`: events without a key may be dropped, too. */
  constructor(ring: IntakeRing, admission: SlotAdmission, ages?: DurableAges, isLogShared = false) {
    this.#ring = ring;
    this.#admission = admission;
    this.#ages = ages;
    this.#isLogShared = isLogShared;
  }

  /**
   * Adds the next slot: the event `number` of `batch`. It goes to the last run if it follows there
   * and `mayExtend`.
   */
  add(batch: Batch, number: number, isKeyed: boolean, mayExtend: boolean): void {
    const last = this.#runs.at(-1);
    if (
      last !== undefined &&
      mayExtend &&
      last.batch === batch &&
      last.isKeyed === isKeyed &&
      !last.isReceipts &&
      last.number + last.count === number
    ) {
      last.count++;
    } else {
      this.#push({ batch, isKeyed, number }, 1, false);
    }
    batch.inFlight++;
  }

  /** Adds the next `count` slots. */
  addRun(run: NewRun, count: number): void {
    this.#push(run, count, false);
    run.batch.inFlight += count;
  }

  /** Adds the next slot: a receipt of `batch`. */
  addReceipt(batch: Batch): void {
    this.#push({ batch, isKeyed: false, number: 0 }, 1, true);
    batch.receiptsInFlight++;
  }

  /**
   * Counts, batch by batch, the slots from the cursor `from`, up to which all are settled, to `to`:
   * the log thread has dealt with them by `nowMs`.
   */
  settle(from: number, to: number, nowMs: number): void {
    let at = from;
    while (at !== to) {
      const run = this.#runs[this.#first];
      const count = Math.min((to - at) | 0, run.count);
      this.#settleRun(run, at, count);
      if (!run.isReceipts) this.#noteAges(run, (at + count - 1) | 0, count, nowMs);
      at = (at + count) | 0;
      if (run.count === 0) this.#first++;
    }
    this.#cut();
  }

  /** Forgets all slots: nothing more is heard of them. */
  clear(): void {
    this.#runs = [];
    this.#first = 0;
  }

  /** Lets go the batches with slots that were queued before `beforeMs`; the slots stay in flight. */
  failQueuedBefore(beforeMs: number): void {
    for (let r = this.#first; r < this.#runs.length; r++) {
      const { batch, queuedAtMs } = this.#runs[r];
      if (queuedAtMs > beforeMs) break;
      batch.fail();
    }
  }

  #push({ batch, isKeyed, number }: NewRun, count: number, isReceipts: boolean): void {
    const queuedAtMs = performance.now();
    if (batch.queuedAtMs === 0) batch.queuedAtMs = queuedAtMs;
    this.#runs.push({ batch, isKeyed, isReceipts, number, count, queuedAtMs });
  }

  /** Settles the run's next `count` slots, from the cursor `from` on. */
  #settleRun(run: Run, from: number, count: number): void {
    const { batch, number } = run;
    run.number += count;
    run.count -= count;
    if (run.isReceipts) {
      batch.receiptsInFlight -= count;
      return;
    }
    batch.accepted +=
      run.isKeyed || this.#isLogShared
        ? this.#settleKeyed(batch, number, from, count)
        : this.#settlePlain(batch, from, count);
    batch.inFlight -= count;
  }

  /** All of the run have the age of its first, though the last may have come a turn later. */
  #noteAges({ queuedAtMs, isKeyed }: Run, last: number, count: number, nowMs: number): void {
    const ages = this.#ages;
    if (ages === undefined) return;
    ages.durable.observe(nowMs - queuedAtMs, count);
    if (!isKeyed) ages.note(this.#seqAt(last), queuedAtMs, nowMs);
  }

  /**
   * Settles events of which none was dropped. Their seqs rise, mostly by 1, and the slots are in the
   * log thread's cache: two of them say what all would. Returns how many are durable now.
   */
  #settlePlain(batch: Batch, from: number, count: number): number {
    const first = this.#seqAt(from);
    const last = this.#seqAt(from + count - 1);
    if (last - first === count - 1 || batch.onSeqs === undefined) batch.noteSeqs(first, last);
    else {
      for (let i = 0; i < count; i++) batch.noteSeqs(this.#seqAt(from + i), this.#seqAt(from + i));
    }
    return count;
  }

  /** Settles events that may have been dropped; returns how many are durable now and were not before. */
  #settleKeyed(batch: Batch, number: number, from: number, count: number): number {
    const { words } = this.#ring.slots;
    const { mask } = this.#ring;
    let accepted = 0;
    for (let i = 0; i < count; i++) {
      const index = (from + i) & mask;
      const meta = words[index * SLOT_WORDS + SLOT_META];
      if ((meta & (FLAG_DUPLICATE | FLAG_CONFLICT | FLAG_NO_ROOM)) !== 0) {
        // It went no further than the sequencer, so no applier gives its room back.
        this.#admission.cancel(this.#ring.slots, index);
        if ((meta & FLAG_CONFLICT) !== 0) {
          batch.onConflict(number + i);
          continue;
        }
        if ((meta & FLAG_NO_ROOM) !== 0) {
          batch.onNoRoom(number + i);
          continue;
        }
        batch.duplicates++;
      } else accepted++;
      const seq = this.#seqAt(from + i);
      batch.noteSeqs(seq, seq);
    }
    return accepted;
  }

  /** The number that the log thread gave the slot at `cursor`, which may be past the wrap. */
  #seqAt(cursor: number): number {
    const { slots, mask } = this.#ring;
    return slots.doubles[(cursor & mask) * SLOT_DOUBLES + SLOT_SEQ];
  }

  #cut(): void {
    if (this.#first === this.#runs.length) this.#runs = [];
    else if (this.#first < SETTLED_RUNS_MAX) return;
    else this.#runs.splice(0, this.#first);
    this.#first = 0;
  }
}
