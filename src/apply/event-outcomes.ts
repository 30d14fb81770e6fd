/**
 * What becomes of durable events, from the appliers, the watermark and the outcome window together:
 * whether they are applied by now, how they ended, which of a batch are dead. Each thread that serves HTTP.
 */

import type { EventOutcome, OutcomeReader } from '../outcome/outcome-window.ts';
import type { AppliedWatermark } from './applied-watermark.ts';
import { DeadEventsSearch } from './dead-events-search.ts';
import type { DeadSeqs } from './dead-seqs.ts';

export interface EventOutcomesOptions {
  readonly watermark: AppliedWatermark;
  readonly outcomes: OutcomeReader;
  /** Of the events that were applied since the start. */
  readonly dead: DeadSeqs;
}

export class EventOutcomes {
  readonly #options: EventOutcomesOptions;
  /** Of the last event that was there at the start. */
  #replayedSeq = 0;

  constructor(options: EventOutcomesOptions) {
    this.#options = options;
  }

  /** The events up to this one were there at the start. */
  set replayedSeq(seq: number) {
    this.#replayedSeq = seq;
  }

  /** Calls `onApplied` once the durable event `seq` is applied; before this returns if it is. */
  whenApplied(seq: number, onApplied: () => void): void {
    this.#options.watermark.whenApplied(seq, onApplied);
  }

  outcomeOf(seq: number): EventOutcome {
    return this.#options.outcomes.outcomeOf(seq);
  }

  /** Begins to look for the dead events of a batch. */
  searchDead(): DeadEventsSearch {
    return new DeadEventsSearch(this.#options.watermark, (from, to) => this.#deadIn(from, to));
  }

  /** Those of a run before, repeated now, are known as long as their outcomes. */
  *#deadIn(from: number, to: number): Iterable<number> {
    const { dead, outcomes } = this.#options;
    yield* dead.within(from, to);
    for (let seq = from; seq <= Math.min(to, this.#replayedSeq); seq++) {
      if (outcomes.outcomeOfApplied(seq) === 'dead') yield seq;
    }
  }
}
