/** The seam to the appliers: what a read that waits for an event needs of them. Main thread. */

/** Somebody who waits; handed back to `cancel` as it is. */
export interface AppliedWaiter {
  readonly seq: number;
}

export interface AppliedProgress {
  /** All events up to it are applied. */
  readonly seq: number;
  /** Calls back once `seq` is applied: at once (and returns `undefined`) if it is already. */
  whenApplied(seq: number, onApplied: () => void): AppliedWaiter | undefined;
  cancel(waiter: AppliedWaiter): void;
}
