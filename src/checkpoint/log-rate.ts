/** How fast the log grows, from how its next seq went up: an average of the last seconds. Any thread. */
import { SLOT_BYTES } from '../ring/slot.ts';

const MEMORY_MS = 3000;
/** Two looks closer than this are one. */
const LOOK_MS = 100;

export class LogRate {
  #seq: number | undefined;
  #atMs = 0;
  #bytesPerSecond: number;

  constructor(bytesPerSecond = 0) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** `nextSeq` is the log's at `nowMs`, of a clock that never goes back. */
  note(nextSeq: number, nowMs: number): void {
    const passedMs = nowMs - this.#atMs;
    if (this.#seq !== undefined && passedMs < LOOK_MS) return;
    if (this.#seq !== undefined) {
      const present = ((nextSeq - this.#seq) * SLOT_BYTES * 1000) / passedMs;
      const weight = Math.min(1, passedMs / MEMORY_MS);
      this.#bytesPerSecond += (present - this.#bytesPerSecond) * weight;
    }
    this.#seq = nextSeq;
    this.#atMs = nowMs;
  }
}
