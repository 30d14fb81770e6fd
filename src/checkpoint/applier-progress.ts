/**
 * How far log and appliers are, as a checkpoint needs to know it: which events are committed, which
 * are applied. Checkpoint thread.
 */
import { appliedBefore } from '../ring/applied-before.ts';
import { COMMIT_BELL_BACK, CommitRing } from '../ring/commit-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';

/** Appliers are never behind by more than a ring: one that takes this long stands still. */
const WAIT_MS_MAX = 10_000;
/** How soon a wait sees that it is to be given up. */
const LOOK_EVERY_MS = 50;

/** Blocks until an applier went on, or for `ms`; `bell` is COMMIT_BELL_BACK as it was before. */
export type WaitForAppliers = (ring: CommitRing, bell: number, ms: number) => void;

export const waitForBell: WaitForAppliers = ({ cursors }, bell, ms) => {
  Atomics.wait(cursors, COMMIT_BELL_BACK, bell, ms);
};

export class ApplierProgress {
  readonly #progress: LogProgress;
  readonly #ring: CommitRing;
  readonly #wait: WaitForAppliers;

  /** Tests without threads bring a `wait` of their own. */
  constructor({ progress, commit, appliers }: SharedMemory, wait: WaitForAppliers) {
    this.#progress = new LogProgress(progress);
    this.#ring = new CommitRing(commit, appliers.length);
    this.#wait = wait;
  }

  /** Seq of the next event to be committed. */
  nextSeq(): number {
    return known(this.#progress.loadPlace()?.nextSeq);
  }

  /** The lowest seq that some applier may not have applied yet. */
  appliedBefore(): number {
    return known(appliedBefore(this.#progress, this.#ring));
  }

  /**
   * Blocks until all events before `seq`, which are committed, are applied. Calls `look` meanwhile,
   * which may throw to give up. Throws when the appliers stand still.
   */
  waitUntilApplied(seq: number, look: () => void): void {
    const untilMs = performance.now() + WAIT_MS_MAX;
    for (;;) {
      // The bell is read before the cursors: one that moves in between rings it.
      const bell = Atomics.load(this.#ring.cursors, COMMIT_BELL_BACK);
      if (this.appliedBefore() >= seq) return;
      look();
      if (performance.now() > untilMs) throw new Error(`seq ${seq - 1} is not being applied`);
      this.#wait(this.#ring, bell, LOOK_EVERY_MS);
    }
  }
}

function known(seq: number | undefined): number {
  if (seq === undefined) throw new Error('a checkpoint before the log was opened');
  return seq;
}
