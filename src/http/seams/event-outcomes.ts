/** The seam to the appliers: what becomes of durable events. Main thread. */

import type { EventOutcome } from '../../outcome/outcome-window.ts';

export interface EventOutcomes {
  /** Calls `onApplied` once the appliers are through with the durable event `seq`. */
  whenApplied(seq: number, onApplied: () => void): void;
  /** What became of the event with this number, a safe integer ≥ 1. */
  outcomeOf(seq: number): EventOutcome;
  /** Begins to look for the events of a batch that are dead. */
  searchDead(): DeadEvents;
}

/** The events of one batch that are dead, as far as they are known. */
export interface DeadEvents {
  /** Their seqs, the first ones, as of the last look. */
  readonly listed: readonly number[];
  /** The events with the seqs `from` to `to`, durable, are of the batch. */
  note(from: number, to: number): void;
  /** Looks at all noted events that are applied by now. */
  look(): void;
}
