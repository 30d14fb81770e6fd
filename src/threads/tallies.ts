/**
 * Numbers that several threads raise and lower together, each up to a limit that is never passed, and that are
 * right again after the death of any of them. docs/producers.md has the interleavings. Any thread; nothing blocks.
 *
 *   byte   0  for each tally, a line of 64 bytes:
 *             total  i32  what all threads have; they change it by compare-and-exchange
 *        …    for each thread, whole lines:
 *             changes  i32  odd while the thread is between a total and its own number of it; it alone writes
 *             own      i32  for each tally, what of its total is this thread's; it alone writes
 *
 * Totals and own numbers count modulo 2^32. Once a thread is dead the main thread writes what was its.
 *
 *   total − sum of own  =  what deaths have left behind, in any moment in which no thread is in a change
 */
import assert from 'node:assert/strict';

const LINE_WORDS = 16;
/** How often a moment without changes is looked for in one call. */
const LOOKS = 200;

export class Tallies {
  readonly #words: Int32Array;
  readonly #tallies: number;
  readonly #threads: number;
  /** Where this thread's words begin. */
  readonly #at: number;

  /** The view of thread `thread` on memory made by `create` for as many tallies. */
  constructor(buffer: SharedArrayBuffer, tallies: number, thread: number) {
    this.#words = new Int32Array(buffer);
    this.#tallies = tallies;
    const totals = tallies * LINE_WORDS;
    this.#threads = (this.#words.length - totals) / threadWords(tallies);
    assert.ok(Number.isInteger(this.#threads) && thread < this.#threads, 'memory of such tallies');
    this.#at = this.#changesAt(thread);
  }

  static bytes(tallies: number, threads: number): number {
    return (tallies * LINE_WORDS + threads * threadWords(tallies)) * Int32Array.BYTES_PER_ELEMENT;
  }

  /** Makes tallies at 0 for `threads` threads. */
  static create(tallies: number, threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(Tallies.bytes(tallies, threads));
  }

  get threads(): number {
    return this.#threads;
  }

  /** What all threads have. */
  total(tally: number): number {
    return Atomics.load(this.#words, tally * LINE_WORDS);
  }

  /** What thread `thread` has of it. */
  own(tally: number, thread: number): number {
    return Atomics.load(this.#words, this.#changesAt(thread) + 1 + tally);
  }

  /** Raises the total by up to `count`, but not above `most`; returns by how much. */
  raise(tally: number, count: number, most: number): number {
    const words = this.#words;
    const at = tally * LINE_WORDS;
    let total = Atomics.load(words, at);
    let by = Math.min(count, (most - total) | 0);
    if (by <= 0) return 0;
    const changes = this.#begin();
    for (;;) {
      const found = Atomics.compareExchange(words, at, total, (total + by) | 0);
      if (found === total) break;
      total = found;
      by = Math.min(count, (most - total) | 0);
      if (by <= 0) break;
    }
    if (by > 0) this.#change(tally, by);
    this.#end(changes);
    return Math.max(by, 0);
  }

  /** Takes `count` off the total, which this thread has raised by as much. */
  lower(tally: number, count: number): void {
    const changes = this.#begin();
    Atomics.sub(this.#words, tally * LINE_WORDS, count);
    this.#change(tally, -count);
    this.#end(changes);
  }

  /** Main thread: thread `thread` is dead, and has so much of it. `balance` makes the total follow. */
  inherit(tally: number, thread: number, own: number): void {
    const at = this.#changesAt(thread);
    Atomics.store(this.#words, at + 1 + tally, own);
    // It died in a change, perhaps.
    Atomics.store(this.#words, at, (Atomics.load(this.#words, at) + 1) & ~1);
  }

  /**
   * Main thread: takes off the total what deaths have left behind, and returns it. `undefined` if some thread was
   * in a change all the time: call again, later.
   */
  balance(tally: number): number | undefined {
    const before = new Int32Array(this.#threads);
    for (let look = 0; look < LOOKS; look++) {
      if (!this.#areStill(before)) continue;
      let left = this.total(tally);
      for (let thread = 0; thread < this.#threads; thread++) left -= this.own(tally, thread);
      // A change between the two ends or begins with one of these words.
      if (!this.#areAsBefore(before)) continue;
      left |= 0;
      if (left !== 0) Atomics.sub(this.#words, tally * LINE_WORDS, left);
      return left;
    }
    return undefined;
  }

  /** Notes how often each thread has begun or ended a change; false if one is in a change. */
  #areStill(changes: Int32Array): boolean {
    for (let thread = 0; thread < this.#threads; thread++) {
      changes[thread] = Atomics.load(this.#words, this.#changesAt(thread));
      if (changes[thread] & 1) return false;
    }
    return true;
  }

  #areAsBefore(changes: Int32Array): boolean {
    return changes.every((count, thread) => {
      return Atomics.load(this.#words, this.#changesAt(thread)) === count;
    });
  }

  #begin(): number {
    const changes = this.#words[this.#at];
    // Pairs with the loads of `balance` around those of totals and own numbers.
    Atomics.store(this.#words, this.#at, (changes + 1) | 0);
    return changes;
  }

  #change(tally: number, by: number): void {
    const at = this.#at + 1 + tally;
    Atomics.store(this.#words, at, (this.#words[at] + by) | 0);
  }

  #end(changes: number): void {
    Atomics.store(this.#words, this.#at, (changes + 2) | 0);
  }

  #changesAt(thread: number): number {
    return this.#tallies * LINE_WORDS + thread * threadWords(this.#tallies);
  }
}

/** Whole lines: threads don't take each other's out of their cores' caches. */
function threadWords(tallies: number): number {
  return Math.ceil((1 + tallies) / LINE_WORDS) * LINE_WORDS;
}
