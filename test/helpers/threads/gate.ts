/**
 * A gate in shared memory at which a thread can be held, and the main thread can see it waiting.
 *   word 0  closed   1 = whoever comes waits; the test writes
 *   word 1  waiting  threads that wait now; they write
 */
import { polled } from '../bounded.ts';

const CLOSED = 0;
const WAITING = 1;
const ARRIVAL_MS_MAX = 60_000;

export class Gate {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer(8)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  close(): void {
    Atomics.store(this.#words, CLOSED, 1);
  }

  open(): void {
    Atomics.store(this.#words, CLOSED, 0);
    Atomics.notify(this.#words, CLOSED);
  }

  /** Blocks the calling thread while the gate is closed. */
  pass(): void {
    if (Atomics.load(this.#words, CLOSED) === 0) return;
    Atomics.add(this.#words, WAITING, 1);
    while (Atomics.load(this.#words, CLOSED) === 1) Atomics.wait(this.#words, CLOSED, 1);
    Atomics.sub(this.#words, WAITING, 1);
  }

  /** Resolves when a thread waits at the closed gate. */
  async arrival(): Promise<void> {
    const isThere = () => (Atomics.load(this.#words, WAITING) > 0 ? true : undefined);
    await polled(isThere, ARRIVAL_MS_MAX, 'a thread at the gate');
  }
}
