/**
 * How far the appliers have come, as a seq: all events up to it are in the store. Tells whoever
 * waits for one of them. Main thread.
 */
import type { LogProgress } from '../log/progress.ts';
import { seqAtCursor } from '../log/progress.ts';
import { BellWatch } from '../ring/bell.ts';
import { COMMIT_BELL_BACK, COMMIT_HEAD, type CommitRing } from '../ring/commit-ring.ts';

export class AppliedWatermark {
  readonly #ring: CommitRing;
  readonly #progress: LogProgress;
  readonly #bell: BellWatch;
  /** Ascending by seq. */
  #waiting: { readonly seq: number; readonly onApplied: () => void }[] = [];

  constructor(ring: CommitRing, progress: LogProgress) {
    this.#ring = ring;
    this.#progress = progress;
    this.#bell = new BellWatch(ring.cursors, COMMIT_BELL_BACK, () => this.#settle());
  }

  /** The last seq up to which every event is applied (or set aside); 0 before the first. */
  get seq(): number {
    const known = this.#progress.load();
    if (known === undefined) return 0;
    // The cursors are read after the record: they only go up, so the seq is one that was applied.
    const head = Atomics.load(this.#ring.cursors, COMMIT_HEAD);
    return seqAtCursor(known, (head - this.#ring.backlog(head)) | 0) - 1;
  }

  /** Calls `onApplied` once `seq`, a committed event, is applied: at once if it is already. */
  whenApplied(seq: number, onApplied: () => void): void {
    if (this.seq >= seq) {
      onApplied();
      return;
    }
    // Waiters come almost in order, so the place is near the end.
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.seq ?? 0) > seq) at--;
    this.#waiting.splice(at, 0, { seq, onApplied });
    this.#watch();
  }

  /** Nobody is told any more. */
  dispose(): void {
    this.#waiting = [];
    this.#bell.release();
  }

  #watch(): void {
    const isDue = () => this.seq >= (this.#waiting[0]?.seq ?? Number.POSITIVE_INFINITY);
    while (this.#waiting.length > 0 && this.#bell.watch(isDue)) this.#tell();
  }

  #settle(): void {
    this.#tell();
    this.#watch();
  }

  #tell(): void {
    const { seq } = this;
    const first = this.#waiting.findIndex((waiter) => waiter.seq > seq);
    const due = this.#waiting.splice(0, first === -1 ? this.#waiting.length : first);
    for (const { onApplied } of due) onApplied();
  }
}
