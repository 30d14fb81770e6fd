/**
 * How far the history is, in shared memory.
 *
 *   byte   0  stop      i32  1 = the thread is to end; the main thread writes
 *          4  opened    i32  1 = it is this data folder's, and no later state of it; the history's thread writes
 *          8  standing by i32  1 = another instance of the cluster writes it; the history's thread writes
 *         64  bell      i32  rung by the history's thread after the place moved
 *        128  place     i64  the last event that readers see; the history's thread writes
 *        136  flushed   i64  the last event that is in it for certain, whatever becomes of the machine
 *        144  caught up i64  ms since 1970: when the thread last had all that was applied
 *        152  failures  i64  how often it could not be written
 */
import assert from 'node:assert/strict';

const STOP = 0;
const OPENED = 1;
const STANDING_BY = 2;
const BELL = 16;
const PLACE = 16;
const FLUSHED = 17;
const CAUGHT_UP = 18;
const FAILURES = 19;
const BYTES = 160;

assert.equal(BELL * 4, 64);
assert.equal(PLACE * 8, 128);
assert.equal((FAILURES + 1) * 8, BYTES);

export class HistoryControl {
  readonly words: Int32Array;
  readonly #longs: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
    this.#longs = new BigInt64Array(buffer);
  }

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(BYTES);
  }

  /** The word that is rung when the place has moved. */
  get bell(): number {
    return BELL;
  }

  get isStopping(): boolean {
    return Atomics.load(this.words, STOP) === 1;
  }

  stop(): void {
    Atomics.store(this.words, STOP, 1);
    Atomics.notify(this.words, STOP);
  }

  /** Resolves after `ms`, or when it is to stop. */
  sleep(ms: number): Promise<void> {
    return waitWhile(this.words, STOP, 0, ms);
  }

  get isOpened(): boolean {
    return Atomics.load(this.words, OPENED) === 1;
  }

  noteOpened(): void {
    Atomics.store(this.words, OPENED, 1);
  }

  get isStandingBy(): boolean {
    return Atomics.load(this.words, STANDING_BY) === 1;
  }

  set isStandingBy(isStandingBy: boolean) {
    Atomics.store(this.words, STANDING_BY, isStandingBy ? 1 : 0);
  }

  get place(): number {
    return Number(Atomics.load(this.#longs, PLACE));
  }

  set place(seq: number) {
    Atomics.store(this.#longs, PLACE, BigInt(seq));
    Atomics.add(this.words, BELL, 1);
    Atomics.notify(this.words, BELL);
  }

  get flushed(): number {
    return Number(Atomics.load(this.#longs, FLUSHED));
  }

  set flushed(seq: number) {
    Atomics.store(this.#longs, FLUSHED, BigInt(seq));
  }

  get caughtUpMs(): number {
    return Number(Atomics.load(this.#longs, CAUGHT_UP));
  }

  set caughtUpMs(ms: number) {
    Atomics.store(this.#longs, CAUGHT_UP, BigInt(ms));
  }

  get failures(): number {
    return Number(Atomics.load(this.#longs, FAILURES));
  }

  noteFailure(): void {
    Atomics.add(this.#longs, FAILURES, 1n);
  }
}

const ALIVE_MS = 1 << 30;

/** Resolves when word `index` is rung or `ms` are over; at once if it is not `value`. */
export async function waitWhile(
  words: Int32Array,
  index: number,
  value: number,
  ms: number,
): Promise<void> {
  const wait = Atomics.waitAsync(words, index, value, ms);
  if (!wait.async) return;
  // The wait itself keeps no thread alive.
  const alive = setInterval(() => undefined, ALIVE_MS);
  await wait.value;
  clearInterval(alive);
}
