/** The seam to the appliers: what becomes of durable events. Main thread. */

import type { DeadEventsSearch } from '../apply/dead-events-search.ts';
import type { EventOutcome } from '../outcome/outcome-window.ts';

export interface AppliedEvents {
  /** Calls `onApplied` once the appliers are through with the durable event `seq`. */
  whenApplied(seq: number, onApplied: () => void): void;
  /** What became of the event with this number, a safe integer ≥ 1. */
  outcomeOf(seq: number): EventOutcome;
  /** Begins to look for the dead events of a batch. */
  searchDead(): DeadEventsSearch;
}
