/**
 * The producing end of the commit ring: puts committed slots where the appliers find them. It may
 * wait for the slowest applier; so only the log thread uses it.
 */
import {
  COMMIT_BELL_BACK,
  COMMIT_CLOSED,
  COMMIT_DOORBELL,
  COMMIT_HEAD,
  type CommitRing,
} from '../ring/commit-ring.ts';
import { sleepUntilRung } from '../ring/sleep.ts';
import { copySlots, SLOT_HASH, SLOT_WORDS, type SlotViews } from '../ring/slot.ts';

export class CommitPublisher {
  readonly #ring: CommitRing;
  /** Slots written, as a cursor; published up to COMMIT_HEAD. */
  #head: number;

  /** Goes on from where the ring's published head stands. */
  constructor(ring: CommitRing) {
    this.#ring = ring;
    this.#head = Atomics.load(ring.cursors, COMMIT_HEAD);
  }

  get capacity(): number {
    return this.#ring.capacity;
  }

  get head(): number {
    return this.#head;
  }

  /** Slots that can be written now without overwriting one that an applier still needs. */
  free(): number {
    return this.#ring.capacity - this.#ring.backlog(this.#head);
  }

  /** Blocks until at least `slots` ≤ capacity are free. */
  waitForRoom(slots = 1): void {
    const lacking = () => this.free() < slots;
    while (lacking()) this.#waitForAppliers(lacking);
  }

  /** Blocks until the appliers have passed everything published. */
  waitUntilApplied(): void {
    const behind = () => this.#ring.backlog(this.#head) > 0;
    while (behind()) this.#waitForAppliers(behind);
  }

  /** Writes `count` ≤ free() slots behind the head, unseen until `publish`. */
  write(
    from: SlotViews,
    fromMask: number,
    fromCursor: number,
    count: number,
    commitTimeMs: number,
  ): void {
    const { slots, mask, commitTimes, routes } = this.#ring;
    copySlots(from, fromMask, fromCursor, slots, mask, this.#head, count);
    for (let i = 0; i < count; i++) {
      const to = (this.#head + i) & mask;
      const hash = from.words[((fromCursor + i) & fromMask) * SLOT_WORDS + SLOT_HASH];
      commitTimes[to] = commitTimeMs;
      routes[to] = hash >>> 16;
    }
    this.#head = (this.#head + count) | 0;
  }

  /** Shows the appliers all that was written. Harmless to repeat. */
  publish(): void {
    const { cursors } = this.#ring;
    // Pairs with the appliers' Atomics.load of the head, before they read slots.
    Atomics.store(cursors, COMMIT_HEAD, this.#head);
    this.#ringBell();
  }

  /** Goes on from `head`: a predecessor's committed work, perhaps not yet published. */
  resume(head: number): void {
    this.#head = head;
    this.publish();
  }

  /** Notifies the appliers that nothing more will come. */
  close(): void {
    Atomics.store(this.#ring.cursors, COMMIT_CLOSED, 1);
    this.#ringBell();
  }

  #ringBell(): void {
    Atomics.add(this.#ring.cursors, COMMIT_DOORBELL, 1);
    Atomics.notify(this.#ring.cursors, COMMIT_DOORBELL);
  }

  #waitForAppliers(stillTrue: () => boolean): void {
    const { cursors } = this.#ring;
    // The bell is read before the condition: a cursor that moves in between rings it.
    const bell = Atomics.load(cursors, COMMIT_BELL_BACK);
    if (stillTrue()) sleepUntilRung(cursors, COMMIT_BELL_BACK, bell);
  }
}
