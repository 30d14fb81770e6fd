/**
 * How late the main thread comes to what is due: a timer that notes by how much it was late. Node's own
 * measure of it is one histogram over all time, without counts by bounds, which no rate can be taken of.
 */
import { Histogram } from './histogram.ts';

const EVERY_MS = 20;
const BOUNDS_MS = Object.freeze([1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000]);

export class EventLoopDelay {
  /** In ms. */
  readonly delays = new Histogram(BOUNDS_MS);
  readonly #timer: NodeJS.Timeout;
  #dueMs = performance.now() + EVERY_MS;

  /** Measures from now on, and keeps no process alive. */
  constructor() {
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      this.delays.observe(Math.max(0, nowMs - this.#dueMs));
      this.#dueMs = nowMs + EVERY_MS;
    }, EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
