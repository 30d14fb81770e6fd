/**
 * The slots of this instance's intake rings, from pending over proposed to settled. Log thread.
 *
 *           tail                 proposed                head
 *   ──────────┼── on their way ──────┼────── pending ──────┼──▶      of each ring
 *
 * With several producers there is a live and a bulk ring for each of them. A message takes what is pending in
 * the live rings, one after the other, then some of the bulk rings; what it has no room for all of is shared as in a frame of
 * the file log (ring/ring-shares.ts). How many of which ring it has is noted before it is sent (proposed-shares.ts); so when
 * it comes back, its slots are the next ones behind the tails, whoever sent it: this thread, or one before it.
 */
import assert from 'node:assert/strict';
import { isReceipt } from '../dedupe/batch-receipt.ts';
import type { LogCounters } from '../metrics/thread-counters.ts';
import {
  INTAKE_HEAD,
  INTAKE_TAIL,
  type IntakeRing,
  type IntakeRings,
  producersOf,
  publishTail,
} from '../ring/intake-ring.ts';
import { type SharedEnd, shareOut } from '../ring/ring-shares.ts';
import {
  copySlots,
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  FLAG_NO_ROOM,
  FLAG_RESERVED,
  FLAGS_OF_MEMORY,
  FLAGS_RESERVATION,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_HASH,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../ring/slot.ts';
import { MESSAGE_SLOTS_MAX, type Message } from './message.ts';
import type { ProposedShares } from './proposed-shares.ts';

/** Bulk events in a frame while live events keep coming. */
const BULK_SHARE = 2048;
/** Frames after the last live event that are still kept short. */
const SHORT_FRAMES = 256;
const NO_WRAP = 0x3fffffff;
const DROPPED = FLAG_DUPLICATE | FLAG_CONFLICT | FLAG_NO_ROOM;

export interface TakenSlots {
  readonly live: number;
  readonly bulk: number;
  /** As they go to the stream; used again by the next call. */
  readonly body: Uint8Array;
}

export class OwnSlots {
  /** Of each producer, the main thread's first. */
  readonly #live: readonly OwnRing[];
  readonly #bulk: readonly OwnRing[];
  /** All of them, in a message's order. */
  readonly #rings: readonly OwnRing[];
  readonly #shares: ProposedShares;
  readonly #furtherTails: Float64Array;
  readonly #body = new SlotViews(
    new ArrayBuffer(MESSAGE_SLOTS_MAX * SLOT_BYTES),
    0,
    MESSAGE_SLOTS_MAX,
  );
  #shortFrames = 0;
  /** Which producer is asked first for what is left over. */
  #first = 0;

  constructor(intakes: IntakeRings, shares: ProposedShares) {
    const producers = producersOf(intakes);
    this.#live = producers.map(({ live }) => new OwnRing(live));
    this.#bulk = producers.map(({ bulk }) => new OwnRing(bulk));
    this.#rings = [...this.#live, ...this.#bulk];
    this.#furtherTails = new Float64Array(2 * (producers.length - 1));
    assert.equal(shares.rings, this.#rings.length, 'a share for each ring');
    this.#shares = shares;
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

  /** Whether there is anything that is not settled. */
  get isUnsettled(): boolean {
    return this.#rings.some(({ unsettled }) => unsettled > 0);
  }

  /** The slots of message `n`, which is the next one; `undefined` when nothing is pending. */
  takeNext(n: number): TakenSlots | undefined {
    const live = shareOut(this.#live, MESSAGE_SLOTS_MAX, this.#first);
    if (live > 0) this.#shortFrames = SHORT_FRAMES;
    else if (this.#shortFrames > 0) this.#shortFrames--;
    const most = this.#shortFrames > 0 ? BULK_SHARE : MESSAGE_SLOTS_MAX;
    const room = Math.min(most, MESSAGE_SLOTS_MAX - live);
    const bulk = shareOut(this.#bulk, room, this.#first);
    const count = live + bulk;
    if (count === 0) return undefined;
    this.#first = (this.#first + 1) % this.#live.length;
    // Before it is sent: a successor of this thread has to know when it comes back.
    this.#shares.note(n, (ring) => this.#rings[ring].claimed);
    let at = 0;
    for (const ring of this.#rings) {
      ring.take(this.#body, at);
      at += ring.claimed;
    }
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
    for (const ring of this.#rings) ring.proposed = ring.tail;
  }

  /** An own message has come back: the next calls are about its slots. */
  returned({ n, live, bulk }: Pick<Message, 'n' | 'live' | 'bulk'>): void {
    const counts = this.#shares.of(n);
    let sum = 0;
    for (const [i, ring] of this.#rings.entries()) {
      ring.settling = counts[i];
      sum += ring.settling;
      if (i === this.#live.length - 1) assert.equal(sum, live, `single events in message ${n}`);
    }
    assert.equal(sum - live, bulk, `events of batches in message ${n}`);
  }

  /** Marks in `slots`, where the message stands, for which the admission reserved room, and which producer's. */
  mark(slots: SlotViews): void {
    this.#eachRing((ring, at) => ring.mark(slots, at));
  }

  /** Writes to its slots in the rings what `judged`, where it stands, says of them. */
  tell(judged: SlotViews): void {
    this.#eachRing((ring, at) => ring.tell(judged, at));
  }

  /** Moves behind its slots. */
  pass(): void {
    for (const ring of this.#rings) ring.pass();
  }

  /** Settles what was passed, for the producers. */
  settle(): void {
    for (const { ring, tail } of this.#rings) {
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

  /** Calls `visit` with each ring, and how many slots of others come before its own in the message. */
  #eachRing(visit: (ring: OwnRing, before: number) => void): void {
    let before = 0;
    for (const ring of this.#rings) {
      visit(ring, before);
      before += ring.settling;
    }
  }
}

/** The log thread's end of one ring. */
class OwnRing implements SharedEnd {
  readonly ring: IntakeRing;
  tail: number;
  proposed: number;
  found = 0;
  claimed = 0;
  /** Slots of the message at hand that are of this ring: those behind the tail. */
  settling = 0;

  constructor(ring: IntakeRing) {
    this.ring = ring;
    this.tail = Atomics.load(ring.cursors, INTAKE_TAIL);
    this.proposed = this.tail;
  }

  get unsettled(): number {
    return (Atomics.load(this.ring.cursors, INTAKE_HEAD) - this.tail) | 0;
  }

  pending(): number {
    return (Atomics.load(this.ring.cursors, INTAKE_HEAD) - this.proposed) | 0;
  }

  /** Copies what is claimed to `to`, from `at` on; it is proposed. */
  take(to: SlotViews, at: number): void {
    const { slots, mask } = this.ring;
    copySlots(slots, mask, this.proposed, to, NO_WRAP, at, this.claimed);
    this.proposed = (this.proposed + this.claimed) | 0;
  }

  mark({ words }: SlotViews, at: number): void {
    const { slots, mask } = this.ring;
    for (let i = 0; i < this.settling; i++) {
      const meta = slots.words[((this.tail + i) & mask) * SLOT_WORDS + SLOT_META];
      if ((meta & FLAG_RESERVED) !== 0) {
        words[(at + i) * SLOT_WORDS + SLOT_META] |= meta & FLAGS_RESERVATION;
      }
    }
  }

  tell({ words, doubles }: SlotViews, at: number): void {
    const { slots, mask } = this.ring;
    for (let i = 0; i < this.settling; i++) {
      const index = (this.tail + i) & mask;
      const w = index * SLOT_WORDS;
      const told = words[(at + i) * SLOT_WORDS + SLOT_META] & DROPPED;
      slots.words[w + SLOT_META] = (slots.words[w + SLOT_META] & ~DROPPED) | told;
      const d = (at + i) * SLOT_DOUBLES;
      slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ] = doubles[d + SLOT_SEQ];
      slots.doubles[index * SLOT_DOUBLES + SLOT_OCCURRED_AT] = doubles[d + SLOT_OCCURRED_AT];
    }
  }

  pass(): void {
    this.tail = (this.tail + this.settling) | 0;
    // They were proposed by a predecessor, perhaps.
    this.proposed = laterOf(this.proposed, this.tail);
    this.settling = 0;
  }
}

function laterOf(a: number, b: number): number {
  return ((b - a) | 0) > 0 ? b : a;
}
