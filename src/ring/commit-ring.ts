/**
 * The commit ring: from the log thread (one producer) to the appliers. Every applier reads every
 * slot and keeps the ones of its own shards. Cursors count slots modulo 2^32, a cache line each.
 *
 *   byte   0  head         i32  slots published, all of them durable; the log thread writes
 *         64  doorbell     i32  rung by the log thread after head moved or the ring was closed
 *        128  closed       i32  1 = nothing more will come; the log thread writes
 *        192  bell back    i32  rung by an applier after its cursor moved
 *        256  cursor of applier 0, i32, then one line for each further applier
 *        …    commit times capacity × f64, ms since the epoch: when the slot's frame was committed
 *        …    slots        capacity × 128 bytes
 *        …    routes       capacity × u16: the upper half of the slot's hash, which says its shard;
 *                          so an applier leaves the slots of others where they are, in the cache of
 *                          the log thread's core
 *
 * Empty for an applier: cursor = head. Full: head − the slowest cursor = capacity; then the log
 * thread waits, the intake ring fills up and clients are asked to come back.
 * A slot stays as it is until the slowest applier has passed it.
 */
import assert from 'node:assert/strict';
import { nextPowerOfTwo } from './intake-ring.ts';
import { SLOT_BYTES, SlotViews } from './slot.ts';

const LINE_WORDS = 16;
export const COMMIT_HEAD = 0;
export const COMMIT_DOORBELL = LINE_WORDS;
export const COMMIT_CLOSED = 2 * LINE_WORDS;
export const COMMIT_BELL_BACK = 3 * LINE_WORDS;
const COMMIT_CURSORS = 4 * LINE_WORDS;
/** Commit time, slot and route. */
const CAPACITY_BYTES = 8 + SLOT_BYTES + 2;

/** Where the cursor of applier `index` (0 …) stands among the cursor words. */
export function commitCursor(index: number): number {
  return COMMIT_CURSORS + index * LINE_WORDS;
}

export class CommitRing {
  readonly buffer: SharedArrayBuffer;
  readonly appliers: number;
  /** The cursor words; index with the COMMIT_ constants and `commitCursor`, through Atomics. */
  readonly cursors: Int32Array;
  /** Commit time of the slot at the same index, ms since the epoch. */
  readonly commitTimes: Float64Array;
  readonly slots: SlotViews;
  /** Upper half of the hash of the slot at the same index; `shardOfRoute` takes it. */
  readonly routes: Uint16Array;
  /** Slots in the ring, a power of two. */
  readonly capacity: number;
  /** Turns a cursor into a slot index: `cursor & mask`. */
  readonly mask: number;

  /** Views a ring made by `create` for the same number of appliers, in any thread. */
  constructor(buffer: SharedArrayBuffer, appliers: number) {
    const timesByte = commitCursor(appliers) * 4;
    this.buffer = buffer;
    this.appliers = appliers;
    this.cursors = new Int32Array(buffer, 0, timesByte / 4);
    this.capacity = (buffer.byteLength - timesByte) / CAPACITY_BYTES;
    assert.equal(this.capacity, nextPowerOfTwo(this.capacity), 'a ring holds a power of two');
    this.mask = this.capacity - 1;
    this.commitTimes = new Float64Array(buffer, timesByte, this.capacity);
    const slotsByte = timesByte + this.capacity * 8;
    this.slots = new SlotViews(buffer, slotsByte, this.capacity);
    this.routes = new Uint16Array(buffer, slotsByte + this.capacity * SLOT_BYTES, this.capacity);
  }

  /** What a ring of at least `slots` slots takes. */
  static bytes(slots: number, appliers: number): number {
    return commitCursor(appliers) * 4 + nextPowerOfTwo(slots) * CAPACITY_BYTES;
  }

  /** Makes an empty ring of at least `slots` slots; all cursors start at `firstCursor`. */
  static create(slots: number, appliers: number, firstCursor = 0): CommitRing {
    const ring = new CommitRing(new SharedArrayBuffer(CommitRing.bytes(slots, appliers)), appliers);
    ring.cursors[COMMIT_HEAD] = firstCursor;
    for (let i = 0; i < appliers; i++) ring.cursors[commitCursor(i)] = firstCursor;
    return ring;
  }

  /** Slots that the slowest applier has still to pass, seen from `head`. */
  backlog(head: number): number {
    let most = 0;
    for (let i = 0; i < this.appliers; i++) {
      const behind = (head - Atomics.load(this.cursors, commitCursor(i))) | 0;
      if (behind > most) most = behind;
    }
    return most;
  }
}
