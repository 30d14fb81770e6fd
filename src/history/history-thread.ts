/**
 * The history's own thread: follows the committed events from the place that the file has, and writes them
 * to it. It never blocks anybody: it reads the commit ring as any follower of changes does, the log's files
 * where the ring is past its place, and the store where the log is.
 *
 * What may happen, and what then:
 *  - The thread dies, or the machine: the file has its events and its place from one transaction, and the log
 *    is held (log-holds.ts) behind what is flushed for certain. It goes on from the place that it finds.
 *  - The log does not reach back to the place (HISTORY was off for long, or is new): the present state of
 *    each product is put down, and its history is whole from there. Events that come while the store is
 *    walked are in the log, which is followed from before the walk; the same twice changes nothing.
 *  - The place is behind the log's end (a log that was repaired, or an older copy of it): its numbers will
 *    be given to other events, so the history is begun anew.
 *  - The file can't be written (disk full, locked, damaged): nobody waits for it; tried again, more and more
 *    seldom.
 */
import { EventBatch } from '../changes/event-batch.ts';
import { RingHistory } from '../changes/ring-history.ts';
import type { HistoryCursor } from '../log/event-log.ts';
import { FileHistory } from '../log/file-history.ts';
import { heldPath } from '../log/held-files.ts';
import { OutcomeReader, OutcomeWindow } from '../outcome/outcome-window.ts';
import { appliedBefore } from '../ring/applied-before.ts';
import { COMMIT_BELL_BACK, CommitRing } from '../ring/commit-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import { Database } from '../sqlite/database.ts';
import { Shard } from '../store/shard.ts';
import { HistoryControl } from './history-control.ts';
import type { HistoryReport, HistoryThreadData } from './history-messages.ts';
import { HistoryPruning } from './history-pruning.ts';
import { HISTORY_MIGRATIONS } from './history-schema.ts';
import { HistoryWriter } from './history-writer.ts';
import { presentStates } from './present-states.ts';
import { historyEvent } from './slot-events.ts';

/** Events in a transaction at the most. */
const EVENTS_MAX = 16_384;
/** Products whose changes are held for a transaction at the most. */
const PRODUCTS_MAX = 16_384;
/** Between two transactions while events trickle in: so that some share one. */
const REST_MS = 20;
/** Waiting for an event, it looks as often whether it is to stop. */
const LOOK_MS = 100;
/** How long the file's write-ahead log gathers before it is flushed into the file. */
const FLUSH_EVERY_MS = 2000;
const FLUSH_EVENTS = 200_000;
const PRUNE_EVERY_MS = 10 * 60 * 1000;
const BUSY_MS = 5000;
const RETRY_MS = 250;
const RETRY_MS_MAX = 30_000;

/** Runs until it is to stop. */
export async function runHistory(
  data: HistoryThreadData,
  report: (report: HistoryReport) => void,
): Promise<void> {
  const control = new HistoryControl(data.control);
  let failures = 0;
  let said = '';
  while (!control.isStopping) {
    const follower = new HistoryFollower(data, control, (level, text) => {
      failures = 0;
      report({ level, text });
    });
    try {
      await follower.run();
    } catch (error) {
      control.noteFailure();
      const text = error instanceof Error ? error.message : String(error);
      // Said once, however often it is tried.
      if (text !== said) report({ level: 'error', text: `can't be written: ${text}` });
      said = text;
      control.sleep(Math.min(RETRY_MS * 2 ** failures++, RETRY_MS_MAX));
    } finally {
      follower.close();
    }
  }
}

class HistoryFollower {
  readonly #control: HistoryControl;
  readonly #keepMs: number | undefined;
  readonly #report: (level: HistoryReport['level'], text: string) => void;
  readonly #shards: readonly Shard[];
  readonly #commits: CommitRing;
  readonly #progress: LogProgress;
  readonly #ring: RingHistory;
  readonly #log: FileHistory;
  readonly #outcomes: OutcomeReader;
  readonly #batch = new EventBatch();
  readonly #database: Database;
  readonly #writer: HistoryWriter;
  readonly #pruning: HistoryPruning;
  #cursor: HistoryCursor | undefined;
  #flushedMs = performance.now();
  #flushedPlace = 0;
  #prunedMs = Number.NEGATIVE_INFINITY;

  constructor(
    { memory, path, logFolder, held, outcomeEvents, keepMs }: HistoryThreadData,
    control: HistoryControl,
    report: (level: HistoryReport['level'], text: string) => void,
  ) {
    this.#control = control;
    this.#keepMs = keepMs;
    this.#report = report;
    this.#shards = memory.shards.map((buffer) => new Shard(buffer));
    this.#commits = new CommitRing(memory.commit, memory.appliers.length);
    this.#progress = new LogProgress(memory.progress);
    this.#ring = new RingHistory(this.#commits, this.#progress);
    this.#log = new FileHistory({
      get folder() {
        return heldPath(held, logFolder);
      },
      progress: this.#progress,
    });
    this.#outcomes = new OutcomeReader({
      window: new OutcomeWindow(memory.outcomes),
      events: outcomeEvents,
      progress: this.#progress,
      watermark: { seq: Number.POSITIVE_INFINITY },
    });
    this.#database = new Database({ path, busyMs: BUSY_MS, flush: 'normal', checkpoints: 'own' });
    this.#database.migrate(HISTORY_MIGRATIONS);
    this.#writer = new HistoryWriter(this.#database);
    this.#pruning = new HistoryPruning(this.#database);
  }

  async run(): Promise<void> {
    const control = this.#control;
    while (this.#applied() === undefined) {
      if (control.isStopping) return;
      control.sleep(LOOK_MS);
    }
    this.#begin();
    while (!control.isStopping) {
      const applied = this.#applied() ?? 0;
      if (this.#writer.place < applied) {
        await this.#take(applied);
        this.#flushIfDue();
        this.#rest(applied);
      } else {
        control.caughtUpMs = Date.now();
        this.#flushIfDue();
        this.#pruneIfDue();
        this.#awaitEvents(applied);
      }
    }
    // What was applied until then.
    for (let applied = this.#applied() ?? 0; this.#writer.place < applied; ) {
      await this.#take(applied);
      applied = this.#applied() ?? 0;
    }
    this.#flush();
  }

  close(): void {
    this.#cursor?.close();
    this.#database.close();
  }

  /** The last event that is applied; `undefined` while the log is not open yet. */
  #applied(): number | undefined {
    const before = appliedBefore(this.#progress, this.#commits);
    return before === undefined ? undefined : before - 1;
  }

  #begin(): void {
    const { place } = this.#writer;
    const end = this.#progress.loadNextSeq() - 1;
    if (place > end) {
      this.#report('warn', `it has events up to seq ${place}, the log ends at ${end}: begun anew`);
      this.#writer.clear();
    }
    this.#flush();
    this.#control.place = this.#writer.place;
    this.#report('info', `goes on behind seq ${this.#writer.place}, the log ends at ${end}`);
  }

  /** Writes the next events up to `applied`, in one transaction. */
  async #take(applied: number): Promise<void> {
    const writer = this.#writer;
    const from = writer.place + 1;
    const until = Math.min(applied, from + EVENTS_MAX - 1);
    let next = from;
    try {
      while (next <= until && writer.pending < PRODUCTS_MAX) {
        const count = this.#copy(next, until);
        if (count === 0) {
          this.#cursor ??= this.#log.open();
          if ((await this.#cursor.load(next)) === 'loaded') continue;
          if (next > from) break;
          next = this.#takeStore(applied) + 1;
          break;
        }
        for (let i = 0; i < count; i++) {
          const event = historyEvent(this.#batch, i, this.#outcomes);
          if (event !== undefined) writer.take(event);
        }
        next += count;
      }
      writer.commit(next - 1);
    } catch (error) {
      writer.rollBack();
      throw error;
    }
    this.#control.place = writer.place;
  }

  /** Copies events from `from` on, as far as they are at hand; returns how many. */
  #copy(from: number, until: number): number {
    const count = this.#ring.copy(from, until, this.#batch);
    if (count === 0) return this.#cursor?.copy(from, until, this.#batch.slots) ?? 0;
    this.#cursor?.close();
    this.#cursor = undefined;
    return count;
  }

  /** Puts down the present states; returns the place from which the log is followed then. */
  #takeStore(applied: number): number {
    const { place } = this.#writer;
    this.#report('warn', `the log does not reach back to seq ${place + 1}: there is a gap`);
    let products = 0;
    for (const state of presentStates(this.#shards)) {
      this.#writer.takePresent(state);
      if (++products % PRODUCTS_MAX === 0) this.#writer.commit(place);
    }
    this.#report('info', `the present state of ${products} products is put down`);
    return applied;
  }

  #flushIfDue(): void {
    const isDue =
      performance.now() - this.#flushedMs > FLUSH_EVERY_MS ||
      this.#writer.place - this.#flushedPlace > FLUSH_EVENTS;
    if (isDue && this.#writer.place > this.#flushedPlace) this.#flush();
  }

  /** After this, whatever is in the file stays in it. */
  #flush(): void {
    const { place } = this.#writer;
    this.#flushedMs = performance.now();
    if (!this.#database.checkpoint()) return;
    this.#flushedPlace = place;
    this.#control.flushed = place;
  }

  #pruneIfDue(): void {
    if (this.#keepMs === undefined) return;
    if (!this.#pruning.isUnderWay) {
      if (performance.now() - this.#prunedMs < PRUNE_EVERY_MS) return;
      this.#prunedMs = performance.now();
      this.#pruning.begin(Date.now() - this.#keepMs);
    }
    this.#pruning.step();
    // What it knows of the file is not so any more.
    this.#writer.rollBack();
  }

  /** Lets some more events come before the next transaction, unless there are plenty. */
  #rest(applied: number): void {
    if ((this.#applied() ?? 0) - applied > EVENTS_MAX) return;
    this.#control.sleep(REST_MS);
  }

  #awaitEvents(applied: number): void {
    const { cursors } = this.#commits;
    // Read before the appliers' cursors: whatever is applied after that rings it.
    const bell = Atomics.load(cursors, COMMIT_BELL_BACK);
    if ((this.#applied() ?? 0) > applied || this.#pruning.isUnderWay) return;
    Atomics.wait(cursors, COMMIT_BELL_BACK, bell, LOOK_MS);
  }
}
