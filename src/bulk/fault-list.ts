/** The faults of a batch: the first of them in full, and how many events have some. Main thread. */
import type { BodyFault } from '../errors/problems.ts';
import { blamesClock } from '../event/event-time-faults.ts';

/** A fault of the event with this number: its line, or its place in the array, counted from 1. */
export interface BatchFault extends BodyFault {
  readonly line: number;
}

export const BATCH_FAULTS_MAX = 100;

export class FaultList {
  readonly listed: BatchFault[] = [];
  /** Events that have faults. */
  events = 0;
  /** Of these, events from the future of this machine's clock. */
  clockEvents = 0;

  /** The event `line` has these. */
  add(line: number, faults: readonly BodyFault[]): void {
    this.events++;
    if (faults.some(blamesClock)) this.clockEvents++;
    for (const { pointer, detail } of faults) {
      if (this.listed.length === BATCH_FAULTS_MAX) return;
      this.listed.push({ line, pointer, detail });
    }
  }
}
