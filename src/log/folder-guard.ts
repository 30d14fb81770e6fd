/**
 * What the threads have to know about the data folder while the service runs, in shared memory: through
 * which descriptors it is reached, and whether files of it were found deleted.
 *
 *   byte  0  lost     i32  how often files were found deleted. Main thread (folder-keeper.ts) writes
 *         4  saved    i32  the last of these after which all was saved again. Main thread writes
 *         8  let go   i32  the last of these after which the log thread left its segment for a fresh
 *                          one. Log thread writes
 *        12  denied   i32  1 = the folder is another process's: nothing may be written. Main thread
 *        16  root, 20 log, 24 checkpoint  i32  descriptors of the folders; 0 = go by path. Main thread
 *
 * The story of files that are deleted (`rm -rf data`, or only the segments):
 *  1. Up to a second passes in which frames go to a file without a name. They are acknowledged, and
 *     lost if the process is killed now: nobody can flush what has no name. Memory has them.
 *  2. Main finds it, refuses writes, makes the folders anew if need be, and counts `lost` up.
 *  3. The log thread sees that before its next frame and after each flush: what it has flushed to the
 *     old segment but not settled is not acknowledged from it, but written again later. It opens a
 *     fresh segment and sets `let go`. All events before that segment are in memory only, no event
 *     after it is committed before 5.
 *  4. Main waits until the former are applied and has a checkpoint taken: it covers all of them.
 *  5. Main sets `saved`: the log thread goes on in the fresh segment, and writes are taken again.
 * A kill between 2 and 5 loses what was deleted, as a kill before 2 does. A log thread that dies is
 * replaced by one that begins with a fresh segment and finds the same words.
 */
import assert from 'node:assert/strict';

const LOST = 0;
const SAVED = 1;
const LET_GO = 2;
const DENIED = 3;
const DESCRIPTORS = 4;
const WORDS = 7;

/** The folders that are held by a descriptor, as indices. */
export const HELD_ROOT = 0;
export const HELD_LOG = 1;
export const HELD_CHECKPOINT = 2;
export type HeldIndex = typeof HELD_ROOT | typeof HELD_LOG | typeof HELD_CHECKPOINT;

export class FolderGuard {
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    assert.equal(buffer.byteLength, WORDS * 4);
    this.#words = new Int32Array(buffer);
  }

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(WORDS * 4);
  }

  /** Whether committed events may be in memory only, or the folder is not ours: no frame may settle. */
  get isLost(): boolean {
    // Pairs with the stores in lose() and deny(); the log thread looks behind each flush.
    return Atomics.load(this.#words, LOST) !== Atomics.load(this.#words, SAVED) || this.isDenied;
  }

  get isDenied(): boolean {
    return Atomics.load(this.#words, DENIED) === 1;
  }

  /** Which loss is to be saved; for `letGo` and `save`. */
  get lost(): number {
    return Atomics.load(this.#words, LOST);
  }

  /** The loss after which the log thread has a fresh segment. */
  get letGo(): number {
    return Atomics.load(this.#words, LET_GO);
  }

  set letGo(lost: number) {
    Atomics.store(this.#words, LET_GO, lost);
  }

  /** Files were found deleted. */
  lose(): number {
    return Atomics.add(this.#words, LOST, 1) + 1;
  }

  /** All that memory has is on disk again since this loss. */
  save(lost: number): void {
    Atomics.store(this.#words, SAVED, lost);
  }

  /** For good: nothing more is to be written. */
  deny(): void {
    Atomics.store(this.#words, DENIED, 1);
  }

  /** 0 = go by path. */
  descriptor(of: HeldIndex): number {
    return Atomics.load(this.#words, DESCRIPTORS + of);
  }

  hold(of: HeldIndex, descriptor: number): void {
    Atomics.store(this.#words, DESCRIPTORS + of, descriptor);
  }
}
