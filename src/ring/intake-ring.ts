/**
 * The intake ring: from a thread that takes events in (one producer) to the log thread (one consumer).
 * Each cursor has a cache line to itself and counts slots modulo 2^32. Each producer has two of them:
 * the live ring for single events and the bulk ring for batches, so that an import fills its own. The
 * main thread is a producer, and may be the only one; docs/producers.md has the stories of several.
 *
 *   byte   0  head      i32  slots published; the producer writes
 *         64  tail      i32  slots settled (durable, or given up); the log thread writes
 *        128  doorbell  i32  rung by a producer after it moved a head, by main also when it asks for a
 *                            stop; that of main's live ring serves all, a thread sleeps at one word only
 *        192  bell back i32  rung by the log thread after it moved tail or changed its state
 *        256  stop      i32  1 = nothing more will come; the main thread writes, then rings;
 *                            that of main's live ring serves all
 *        320  slots     capacity × 128 bytes
 *
 * Empty: head = tail. Full: head − tail = limit (QUEUE_SIZE or BULK_QUEUE_SIZE), which the producer
 * checks against its own count of settled slots; the capacity is the next power of two, so a slot that the producer
 * has not looked at since it was settled is never overwritten.
 * A slot between tail and head belongs to the log thread, every other one to the producer.
 */
import assert from 'node:assert/strict';
import { SLOT_BYTES, SlotViews } from './slot.ts';

const LINE_WORDS = 16;
export const INTAKE_HEAD = 0;
export const INTAKE_TAIL = LINE_WORDS;
export const INTAKE_DOORBELL = 2 * LINE_WORDS;
export const INTAKE_BELL_BACK = 3 * LINE_WORDS;
export const INTAKE_STOP = 4 * LINE_WORDS;
const SLOTS_BYTE = 5 * LINE_WORDS * 4;

assert.equal(SLOTS_BYTE, 320);

/** The smallest power of two ≥ `count` (1 … 2^30). */
export function nextPowerOfTwo(count: number): number {
  return count <= 1 ? 1 : 2 ** Math.ceil(Math.log2(count));
}

export class IntakeRing {
  readonly buffer: SharedArrayBuffer;
  /** The cursor and bell words; index with the INTAKE_ constants, always through Atomics. */
  readonly cursors: Int32Array;
  readonly slots: SlotViews;
  /** Slots in the ring, a power of two. */
  readonly capacity: number;
  /** Turns a cursor into a slot index: `cursor & mask`. */
  readonly mask: number;

  /** Views a ring made by `create`, in any thread. */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.cursors = new Int32Array(buffer, 0, SLOTS_BYTE / 4);
    this.capacity = (buffer.byteLength - SLOTS_BYTE) / SLOT_BYTES;
    assert.equal(this.capacity, nextPowerOfTwo(this.capacity), 'a ring holds a power of two');
    this.mask = this.capacity - 1;
    this.slots = new SlotViews(buffer, SLOTS_BYTE, this.capacity);
  }

  /** What a ring for at least `slots` slots takes. */
  static bytes(slots: number): number {
    return SLOTS_BYTE + nextPowerOfTwo(slots) * SLOT_BYTES;
  }

  /**
   * Makes an empty ring for at least `slots` slots. `firstCursor` is where both cursors start:
   * tests put it just below the 32-bit wrap.
   */
  static create(slots: number, firstCursor = 0): IntakeRing {
    const ring = new IntakeRing(new SharedArrayBuffer(IntakeRing.bytes(slots)));
    ring.cursors[INTAKE_HEAD] = firstCursor;
    ring.cursors[INTAKE_TAIL] = firstCursor;
    return ring;
  }
}

/** Whether all that is published in `ring` is settled. Any thread. */
export function isRingSettled(ring: IntakeRing): boolean {
  return unsettledOf(ring) === 0;
}

/** Slots that are published and not settled. Any thread. */
export function unsettledOf({ cursors }: IntakeRing): number {
  // In this order: a tail never passes the head that is loaded after it.
  const tail = Atomics.load(cursors, INTAKE_TAIL);
  return (Atomics.load(cursors, INTAKE_HEAD) - tail) | 0;
}

/** The two rings of one producer. */
export interface ProducerRings {
  /** Single events. */
  readonly live: IntakeRing;
  /** Batches. */
  readonly bulk: IntakeRing;
}

/**
 * The rings of one service, all emptied by one log thread: the main thread's, whose live ring has the
 * doorbell and the stop word of all of them, and those of further producers.
 */
export interface IntakeRings extends ProducerRings {
  readonly further?: readonly ProducerRings[];
}

/** Those of each producer, the main thread's first. */
export function producersOf(rings: IntakeRings): readonly ProducerRings[] {
  return [rings, ...(rings.further ?? [])];
}

/**
 * Shows the log thread every slot of `ring` before cursor `head`, and wakes it at the doorbell of
 * `live`, the main thread's, whichever ring `ring` is. For the ring's producer.
 */
export function publishHead(ring: IntakeRing, head: number, live: IntakeRing): void {
  // Pairs with the log thread's Atomics.load of the head, before it reads the slots.
  Atomics.store(ring.cursors, INTAKE_HEAD, head);
  Atomics.add(live.cursors, INTAKE_DOORBELL, 1);
  Atomics.notify(live.cursors, INTAKE_DOORBELL);
}

/** Settles every slot of `ring` before `tail` for its producer. Harmless to repeat. Log thread. */
export function publishTail(ring: IntakeRing, tail: number): void {
  // Pairs with the producer's Atomics.load of the tail, before it reads the slots' numbers.
  Atomics.store(ring.cursors, INTAKE_TAIL, tail);
  Atomics.add(ring.cursors, INTAKE_BELL_BACK, 1);
  Atomics.notify(ring.cursors, INTAKE_BELL_BACK);
}
