/**
 * What the threads that serve HTTP must know of the service without asking: where it is in its life, and
 * whether writes can be made durable. The main thread writes; the others read it with each request, so none
 * says ready when the service isn't.
 *
 *   word 0  phase              its place in PHASES
 *        1  was ready          1 = the store is whole
 *        2  storage available  0 = writes are refused
 *        3  replayed           percent of the log; −1 = not known
 *        4  stalled            1 = a thread makes no progress
 */
import type { Lifecycle, Phase } from '../lifecycle.ts';

const PHASE = 0;
const WAS_READY = 1;
const STORAGE = 2;
const REPLAYED = 3;
const STALLED = 4;
const WORDS = 5;

/** In the order in which they come. */
const PHASES: readonly Phase[] = ['starting', 'ready', 'draining', 'stopping', 'stopped'];

export class ServiceState {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** Main thread: writes what is so now. */
  store(now: Omit<Lifecycle, 'checks' | 'isReader'>): void {
    const { phase, wasReady, storageAvailable, replayedPercent = -1, stalled } = now;
    const words = this.#words;
    Atomics.store(words, STORAGE, storageAvailable ? 1 : 0);
    Atomics.store(words, STALLED, stalled === undefined ? 0 : 1);
    Atomics.store(words, REPLAYED, replayedPercent);
    Atomics.store(words, WAS_READY, wasReady ? 1 : 0);
    Atomics.store(words, PHASE, PHASES.indexOf(phase));
  }

  get phase(): Phase {
    return PHASES[Atomics.load(this.#words, PHASE)] ?? 'starting';
  }

  get wasReady(): boolean {
    return Atomics.load(this.#words, WAS_READY) === 1;
  }

  get storageAvailable(): boolean {
    return Atomics.load(this.#words, STORAGE) === 1;
  }

  get replayedPercent(): number | undefined {
    const percent = Atomics.load(this.#words, REPLAYED);
    return percent < 0 ? undefined : percent;
  }

  get isStalled(): boolean {
    return Atomics.load(this.#words, STALLED) === 1;
  }
}
