/**
 * An instance of a cluster while another one writes the history in their database: it says how far that is, so that
 * questions and min_seq are answered here, too, and holds its own log behind it, so that it can go on from there.
 * The history's own thread.
 *
 *   writes ── taken over, or behind what is written ──▶ stands by ── nobody writes, and it has all of it ──▶ writes
 *
 * The writer dies: the server ends its session, and with it the lock; whoever looks first finds it free, and of two
 * that do one is told that it is taken. The writer stands still: its session ends when the server has not heard
 * of it for a minute; what it has under way then has the epoch of before. An instance that is not as far as what is written leaves it to
 * another, or to itself a moment later.
 */
import { appliedBefore } from '../ring/applied-before.ts';
import { COMMIT_BELL_BACK, CommitRing } from '../ring/commit-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { type HistoryControl, waitWhile } from './history-control.ts';
import type { PostgresStandby } from './postgres/postgres-standby.ts';

/** Between two looks while the one that writes has less than this instance. */
const BEHIND_MS = 50;
/** And else. */
const LOOK_MS = 1000;
/** Waiting for an event, it looks as often whether it is to stop. */
const STOP_MS = 100;

export class StandingBy {
  readonly #standby: PostgresStandby;
  readonly #control: HistoryControl;
  readonly #commits: CommitRing;
  readonly #progress: LogProgress;

  constructor(standby: PostgresStandby, control: HistoryControl, memory: SharedMemory) {
    this.#standby = standby;
    this.#control = control;
    this.#commits = new CommitRing(memory.commit, memory.appliers.length);
    this.#progress = new LogProgress(memory.progress);
  }

  /** Resolves when it may be this instance's turn, or it is to stop. Rejects with what the database says. */
  async untilFree(): Promise<void> {
    const control = this.#control;
    control.isStandingBy = true;
    try {
      while (!control.isStopping) {
        const { seq, isFree } = await this.#standby.look();
        if (seq !== undefined) this.#note(seq);
        if (isFree && (seq ?? 0) <= this.#applied) return;
        if (control.place < this.#applied) await control.sleep(BEHIND_MS);
        else await this.#rest();
      }
    } finally {
      control.isStandingBy = false;
      await this.#standby.close();
    }
  }

  #note(seq: number): void {
    const control = this.#control;
    control.noteOpened();
    // A commit is flushed.
    control.flushed = seq;
    if (control.place !== seq) control.place = seq;
    if (seq >= this.#applied) control.caughtUpMs = Date.now();
  }

  get #applied(): number {
    return (appliedBefore(this.#progress, this.#commits) ?? 1) - 1;
  }

  /** Until there is more than is written. */
  async #rest(): Promise<void> {
    const { cursors } = this.#commits;
    const untilMs = performance.now() + LOOK_MS;
    while (!this.#control.isStopping && performance.now() < untilMs) {
      // Read before the appliers' cursors: whatever is applied after that rings it.
      const bell = Atomics.load(cursors, COMMIT_BELL_BACK);
      if (this.#control.place < this.#applied) return;
      await waitWhile(cursors, COMMIT_BELL_BACK, bell, STOP_MS);
    }
  }
}
