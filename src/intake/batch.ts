/**
 * What the bulk intake knows of one batch: how many of its events are on their way, and what became
 * of the others. Written by `bulk-intake.ts` and `slot-runs.ts`, read by the import that feeds it.
 * Main thread.
 */

export class Batch {
  /** Called with the number of an event before which another one came under the same key. */
  onConflict: (number: number) => void = () => undefined;
  /** Called with the number of an event for whose product others of the log had taken the last room. */
  onNoRoom: (number: number) => void = () => undefined;
  /** Called once, when it is to end: the service stops, or the log has not accepted what is queued. */
  onStop: () => void = () => undefined;
  /** Called with the seqs of all events that are durable, as of now or from before, if anybody asks. */
  onSeqs: ((from: number, to: number) => void) | undefined;
  /** When its first events were queued (`performance.now()`); 0 = none were. */
  queuedAtMs = 0;
  /** Events queued and not yet settled. */
  inFlight = 0;
  /** Receipts of it that are queued and not yet settled. */
  receiptsInFlight = 0;
  /** Events that are durable now and were not before. */
  accepted = 0;
  /** Events that were known already, under the same key. */
  duplicates = 0;
  /** Lowest and highest seq of all these; 0 = none. */
  firstSeq = 0;
  lastSeq = 0;
  #hasFailed = false;

  /** Whether an event waited longer than STORAGE_TIMEOUT, or the log gave up. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Whether nothing of it is on its way. */
  get isSettled(): boolean {
    return this.inFlight + this.receiptsInFlight === 0;
  }

  fail(): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.onStop();
  }

  /** Whether anything of it was ever queued. */
  get isEmpty(): boolean {
    return this.inFlight + this.accepted + this.duplicates === 0;
  }

  /** `count` events are on record from before, between these two seqs (0 = not known). */
  noteKnown(count: number, firstSeq: number, lastSeq: number): void {
    this.duplicates += count;
    if (firstSeq > 0 && (this.firstSeq === 0 || firstSeq < this.firstSeq)) this.firstSeq = firstSeq;
    if (lastSeq > this.lastSeq) this.lastSeq = lastSeq;
  }

  /** The events with the seqs `from` to `to` are durable, as of now or from before. */
  noteSeqs(from: number, to: number): void {
    if (this.firstSeq === 0 || from < this.firstSeq) this.firstSeq = from;
    if (to > this.lastSeq) this.lastSeq = to;
    this.onSeqs?.(from, to);
  }
}
