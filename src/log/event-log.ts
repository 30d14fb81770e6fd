/**
 * The seam between a log and the rest of the service. Whichever log it is, files or a replicated stream:
 *
 *  - It takes what is pending in the intake rings, gives each event a number, its place in the one order
 *    of all events, and makes it durable. Then it commits: the progress record (ring/progress.ts) says in
 *    one step how far the log is. It settles the slots for whoever waits, and hands the events to the
 *    appliers through the commit ring, in order and without a gap. Events that another instance took in
 *    come through the commit ring too; no slot of an intake ring stands behind them.
 *  - Anyone can ask for what came since a seq, and say that it is still needed.
 *
 * A log has an end in three threads. Types only; test/log/contract describes them all from outside.
 */
import type { SlotViews } from '../ring/slot.ts';
import type { LogHolds } from './log-holds.ts';
import type { LogIdentity } from './log-identity.ts';

/** Its own thread's end: the only writer of intake tails, progress record and commit ring. */
export interface EventLog {
  /** The number that the next event gets. */
  readonly nextSeq: number;
  /**
   * Makes one batch of what is pending durable and passes it on; blocks while the appliers have no
   * room. False when asked to stop before the batch could be made durable.
   */
  commitPending(): boolean;
  /** For when nothing is pending. True when nothing is left to do but to wait for the bell. */
  idle(): boolean;
  /**
   * Works until the main thread asks to stop and everything before that is durable; then closes the log
   * and the commit ring. False if it had to give up on events that could not be made durable.
   */
  run(): boolean;
}

/** The main thread's end: what came since a seq. */
export interface LogHistory {
  /** A place in it that moves on, for one reader. */
  open(): HistoryCursor;
}

export interface HistoryCursor {
  /**
   * Copies the events from seq `from` up to `until`, at most as many as `slots` has room for, as far
   * as they are loaded; returns how many. 0: load first. Hashes of ids are not filled in.
   */
  copy(from: number, until: number, slots: SlotViews): number;
  /** Loads events from `from` on, which is applied. `gone`: the log does not reach back to it. */
  load(from: number): Promise<'loaded' | 'gone'>;
  /** Gives back memory while its reader waits for something else. The place is kept. */
  release(): void;
  close(): void;
}

/** How much log is kept although no checkpoint needs it: by size or by age. */
export type LogRetention = { readonly bytes: number } | { readonly ageMs: number };

/** The checkpoint thread's end: which log it is, and from where on it is needed. */
export interface KeptLog {
  /** Which log a state with all events before `replayFrom` belongs to; `undefined` = none of it has events yet. */
  identityAt(replayFrom: number): LogIdentity | undefined;
  /**
   * Removes what lies before seq `before`, oldest first, but for what `retention` and the holds ask
   * for. `goOn` is called after each piece: false ends it.
   */
  release(before: number, rule: ReleaseRule): Released;
}

/** What was removed of the log. */
export interface Released {
  readonly segments: number;
  /** Segments whose time is in the future, so that the clock was wrong; LOG_RETENTION by age only. */
  readonly futureSegments?: number;
}

export interface ReleaseRule {
  readonly retention: LogRetention;
  readonly holds?: LogHolds | undefined;
  readonly nowMs: number;
  readonly goOn: () => boolean;
}
