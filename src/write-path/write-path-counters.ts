/** What the threads of a write path count (metrics/thread-counters.ts), as the main thread reads it. */
import { ApplierCounters, LogCounters, OUTCOMES_COUNTED } from '../metrics/thread-counters.ts';

export class WritePathCounters {
  readonly log: LogCounters;
  readonly appliers: readonly ApplierCounters[];
  /** What the replay at the start has counted; by outcome. */
  #replayed = new Array<number>(OUTCOMES_COUNTED).fill(0);
  #hasBegun = false;

  constructor(buffer: SharedArrayBuffer, appliers: number) {
    this.log = new LogCounters(buffer);
    this.appliers = Array.from({ length: appliers }, (_, i) => new ApplierCounters(buffer, i));
  }

  /** Everything replayed is applied: what is counted from now on is new. */
  begin(): void {
    this.#replayed = this.#replayed.map((_, outcome) => this.#outcomes(outcome));
    this.#hasBegun = true;
  }

  /** Events that ended so since the start, those replayed left out. */
  outcomes(outcome: number): number {
    return this.#hasBegun ? this.#outcomes(outcome) - this.#replayed[outcome] : 0;
  }

  #outcomes(outcome: number): number {
    return this.appliers.reduce((sum, applier) => sum + applier.outcomes(outcome), 0);
  }
}
