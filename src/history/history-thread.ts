/**
 * The history's own thread: follows the committed events from the place that the history has, and writes them
 * to it. It never makes anybody wait: it reads the commit ring as any follower of changes does, the log's files
 * where the ring is past its place, and the store where the log is.
 *
 * What may happen, and what then:
 *  - The thread dies, or the machine: events and place are from one transaction, and the log is held
 *    (log-holds.ts) behind what is flushed for certain. It goes on from the place that it finds.
 *  - The log does not reach back to the place (HISTORY was off for long, or is new): gap.ts. Events that come while
 *    the store is walked are in the log, which is followed from before the walk; the same twice changes nothing.
 *    First come those of the history that the store has not, then all of the store: one that is listed again
 *    between the two is met by the second.
 *  - The place is behind the log's end (a log that was repaired, or an older copy of it): its numbers will
 *    be given to other events, so the history is begun anew; in a database, which is no part of the data folder,
 *    that is left to somebody.
 *  - Another instance of the cluster writes it: standing-by.ts.
 *  - It can't be written (disk full, locked, damaged; no connection): nobody waits for it; tried again, more and
 *    more seldom. The log is kept meanwhile, up to a bound; beyond it there is a gap.
 * (Over 300 lines: one follower, from its first place to its end.)
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
import { FreeingBounds } from '../store/freeing-bounds.ts';
import { Shard } from '../store/shard.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import type { GapEnd } from './gap.ts';
import { HistoryControl, waitWhile } from './history-control.ts';
import type { HistoryReport, HistoryThreadData } from './history-messages.ts';
import {
  type HistoryStore,
  HistoryTakenError,
  type HistoryTarget,
  textOfError,
} from './history-store.ts';
import { type HistoryEvent, HistoryWriter } from './history-writer.ts';
import { isInStore, presentStates } from './present-states.ts';
import { historyEvent } from './slot-events.ts';
import { StandingBy } from './standing-by.ts';

/** Events in a transaction at the most. */
const EVENTS_MAX = 16_384;
/** Products whose changes are held for a transaction at the most. */
const PRODUCTS_MAX = 16_384;
/** Products looked at in one transaction at the end of a gap. */
const GAP_PRODUCTS = 4096;
/** Between two transactions while events trickle in: so that some share one. */
const REST_MS = 20;
/** Waiting for an event, it looks as often whether it is to stop. */
const LOOK_MS = 100;
/** How long what is written gathers before it is made to survive the machine. */
const FLUSH_EVERY_MS = 2000;
const FLUSH_EVENTS = 200_000;
const PRUNE_EVERY_MS = 10 * 60 * 1000;
const RETRY_MS = 250;
const RETRY_MS_MAX = 30_000;

/** Runs until it is to stop. */
export async function runHistory(
  data: HistoryThreadData,
  report: (report: HistoryReport) => void,
): Promise<void> {
  const control = new HistoryControl(data.control);
  // The thread before this one may have died standing by.
  control.isStandingBy = false;
  const store = await storeOf(data.target);
  const standingBy = await standingByOf(data, control);
  let failures = 0;
  let said = '';
  while (!control.isStopping) {
    const follower = new HistoryFollower(data, store, control, (level, text) => {
      failures = 0;
      said = '';
      report({ level, text });
    });
    try {
      await follower.run();
    } catch (thrown) {
      let error = thrown;
      if (error instanceof HistoryTakenError && standingBy !== undefined) {
        await follower.close();
        report({ level: 'info', text: `stands by: ${error.message}` });
        error = await standingBy.untilFree().catch((reason: unknown) => reason);
        if (error === undefined) continue;
      }
      control.noteFailure();
      const text = textOfError(error);
      // Said once, however often it is tried.
      if (text !== said) report({ level: 'error', text: `can't be written: ${text}` });
      said = text;
      await control.sleep(Math.min(RETRY_MS * 2 ** failures++, RETRY_MS_MAX));
    } finally {
      await follower.close();
    }
  }
}

/** Only the client that is needed is loaded. */
async function storeOf(target: HistoryTarget): Promise<HistoryStore> {
  if (target.kind === 'file') {
    const { SqliteHistory } = await import('./sqlite/sqlite-history.ts');
    return new SqliteHistory(target.path);
  }
  const { PostgresHistory } = await import('./postgres/postgres-history.ts');
  return new PostgresHistory(target);
}

/** In a cluster with a database only. */
async function standingByOf(
  { target, memory }: HistoryThreadData,
  control: HistoryControl,
): Promise<StandingBy | undefined> {
  if (target.kind !== 'postgres' || !target.isShared) return undefined;
  const { PostgresStandby } = await import('./postgres/postgres-standby.ts');
  return new StandingBy(new PostgresStandby(target), control, memory);
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
  readonly #hashKey: HashKey;
  readonly #freeing: FreeingBounds;
  readonly #freedUntil: number;
  readonly #store: HistoryStore;
  readonly #writer: HistoryWriter;
  #cursor: HistoryCursor | undefined;
  #flushedMs = performance.now();
  #flushedPlace = 0;
  #prunedMs = Number.NEGATIVE_INFINITY;
  /** The round of pruning that is under way: up to when, and the last product that was looked at. */
  #pruning: { readonly horizonMs: number; lastNo: number } | undefined;

  constructor(
    { memory, logFolder, held, outcomeEvents, keepMs, freedUntil }: HistoryThreadData,
    store: HistoryStore,
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
    this.#hashKey = memory.hashKey;
    this.#freeing = new FreeingBounds(memory.freeing);
    this.#freedUntil = freedUntil;
    this.#store = store;
    this.#writer = new HistoryWriter(store);
  }

  async run(): Promise<void> {
    const control = this.#control;
    while (this.#applied() === undefined) {
      if (control.isStopping) return;
      await control.sleep(LOOK_MS);
    }
    await this.#begin();
    while (!control.isStopping) {
      const applied = this.#applied() ?? 0;
      if (this.#writer.place < applied) {
        await this.#take(applied);
        await this.#flushIfDue();
        await this.#rest(applied);
      } else {
        control.caughtUpMs = Date.now();
        await this.#flushIfDue();
        await this.#pruneIfDue();
        await this.#store.beat();
        await this.#awaitEvents(applied);
      }
    }
    // What was applied until then.
    for (let applied = this.#applied() ?? 0; this.#writer.place < applied; ) {
      await this.#take(applied);
      applied = this.#applied() ?? 0;
    }
    await this.#flush();
  }

  async close(): Promise<void> {
    this.#cursor?.close();
    this.#cursor = undefined;
    await this.#store.close();
  }

  /** The last event that is applied; `undefined` while the log is not open yet. */
  #applied(): number | undefined {
    const before = appliedBefore(this.#progress, this.#commits);
    return before === undefined ? undefined : before - 1;
  }

  async #begin(): Promise<void> {
    await this.#writer.open();
    const { place } = this.#writer;
    const end = this.#progress.loadNextSeq() - 1;
    if (place > end) {
      const reason = `it has events up to seq ${place}, the log ends at ${end}`;
      await this.#writer.clear(reason);
      this.#report('warn', `${reason}: begun anew`);
    }
    await this.#flush();
    this.#control.noteOpened();
    this.#control.place = this.#writer.place;
    this.#report('info', `goes on behind seq ${this.#writer.place}, the log ends at ${end}`);
  }

  /** Writes the next events up to `applied`, in one transaction. */
  async #take(applied: number): Promise<void> {
    const writer = this.#writer;
    const from = writer.place + 1;
    const until = Math.min(applied, from + EVENTS_MAX - 1);
    let next = from;
    while (next <= until && writer.pending < PRODUCTS_MAX) {
      const count = this.#copy(next, until);
      if (count === 0) {
        this.#cursor ??= this.#log.open();
        if ((await this.#cursor.load(next)) === 'loaded') continue;
        if (next > from) break;
        next = (await this.#takeStore(applied)) + 1;
        break;
      }
      // Read before anything is waited for: the next copy overwrites them.
      const events: HistoryEvent[] = [];
      for (let i = 0; i < count; i++) {
        const event = historyEvent(this.#batch, i, this.#outcomes);
        if (event !== undefined) events.push(event);
      }
      await writer.take(events);
      next += count;
    }
    await writer.commit(next - 1);
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

  /** Ends a gap with what the store has now (gap.ts); returns the place from which the log is followed then. */
  async #takeStore(applied: number): Promise<number> {
    const writer = this.#writer;
    const { place } = writer;
    this.#report('warn', `the log does not reach back to seq ${place + 1}: there is a gap`);
    const gap: GapEnd = {
      atMs: Date.now(),
      seq: applied,
      hasForgotten: Math.max(this.#freedUntil, this.#freeing.sweepUntil) > place,
    };
    if (gap.hasForgotten) writer.raisePruned(gap.atMs);
    let gone = 0;
    for (let afterNo = 0; ; ) {
      const listed = await this.#store.findListed(afterNo, GAP_PRODUCTS);
      const last = listed.at(-1);
      if (last === undefined) break;
      afterNo = last.no;
      const ids = listed
        .map(({ id }) => id)
        .filter((id) => !isInStore(this.#shards, this.#hashKey, id));
      gone += ids.length;
      await writer.takeGone(ids, gap);
      await writer.commit(place);
    }
    let products = 0;
    for (const states of inBatches(presentStates(this.#shards), GAP_PRODUCTS)) {
      products += states.length;
      await writer.takePresent(states, gap);
      await writer.commit(place);
    }
    this.#report(
      'info',
      `the present state of ${products} products is put down, ${gone} are no more`,
    );
    return applied;
  }

  async #flushIfDue(): Promise<void> {
    const isDue =
      performance.now() - this.#flushedMs > FLUSH_EVERY_MS ||
      this.#writer.place - this.#flushedPlace > FLUSH_EVENTS;
    if (isDue && this.#writer.place > this.#flushedPlace) await this.#flush();
  }

  /** After this, whatever is written stays. */
  async #flush(): Promise<void> {
    const { place } = this.#writer;
    this.#flushedMs = performance.now();
    if (!(await this.#store.flush())) return;
    this.#flushedPlace = place;
    this.#control.flushed = place;
  }

  async #pruneIfDue(): Promise<void> {
    if (this.#keepMs === undefined) return;
    if (this.#pruning === undefined) {
      if (performance.now() - this.#prunedMs < PRUNE_EVERY_MS) return;
      this.#prunedMs = performance.now();
      this.#pruning = { horizonMs: Date.now() - this.#keepMs, lastNo: 0 };
    }
    const lastNo = await this.#writer.prune(this.#pruning.horizonMs, this.#pruning.lastNo);
    if (lastNo === undefined) this.#pruning = undefined;
    else this.#pruning.lastNo = lastNo;
  }

  /** Lets some more events come before the next transaction, unless there are plenty. */
  async #rest(applied: number): Promise<void> {
    if ((this.#applied() ?? 0) - applied > EVENTS_MAX) return;
    await this.#control.sleep(REST_MS);
  }

  async #awaitEvents(applied: number): Promise<void> {
    const { cursors } = this.#commits;
    // Read before the appliers' cursors: whatever is applied after that rings it.
    const bell = Atomics.load(cursors, COMMIT_BELL_BACK);
    if ((this.#applied() ?? 0) > applied || this.#pruning !== undefined) return;
    await waitWhile(cursors, COMMIT_BELL_BACK, bell, LOOK_MS);
  }
}

function* inBatches<T>(all: Iterable<T>, size: number): Iterable<T[]> {
  let batch: T[] = [];
  for (const each of all) {
    batch.push(each);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
