/**
 * What is on record of a batch under its request's key, and what goes on record of it now: the
 * receipts (dedupe/batch-receipt.ts, with the story of crashes). Main thread.
 */
import {
  type BatchReceipt,
  type BodyPart,
  putReceipt,
  RECEIPT_COMPLETE,
  RECEIPT_ENDED,
  RECEIPT_EVENTS,
  RECEIPT_FROZEN,
  RECEIPT_OPEN,
} from '../dedupe/batch-receipt.ts';
import type { DedupeWindow } from '../dedupe/dedupe-window.ts';
import type { Batch } from '../intake/batch.ts';
import type { BulkIntake } from '../intake/bulk-intake.ts';

export interface BatchReceiptsOptions {
  readonly intake: BulkIntake;
  readonly batch: Batch;
  /** The request's key. */
  readonly key: Int32Array;
  /** The newest receipt under it. */
  readonly found: BatchReceipt | undefined;
}

/**
 * Whether it is known which events of a batch were accepted, so that the rest can be: the window still
 * has the key of every one that may have come behind what the receipt speaks of.
 */
export function isResumable({ state, since }: BatchReceipt, known: DedupeWindow): boolean {
  const isOver = state === RECEIPT_ENDED || state === RECEIPT_COMPLETE;
  return isOver || known.knownFrom <= since + 1;
}

export class BatchReceipts {
  readonly found: BatchReceipt | undefined;
  readonly #intake: BulkIntake;
  readonly #batch: Batch;
  readonly #key: Int32Array;
  #isOpen = false;
  #events = 0;
  /** Where a repetition tries again, and how many events were not accepted up to there. */
  #frozen: { readonly part: BodyPart; readonly rejected: number } | undefined;
  #isFrozenNoted = false;

  constructor({ intake, batch, key, found }: BatchReceiptsOptions) {
    this.#intake = intake;
    this.#batch = batch;
    this.#key = key;
    this.found = found;
  }

  /** The first events of the body are on record up to here; they are passed over. */
  get passedOver(): number {
    return this.found?.events ?? 0;
  }

  /** Whether the whole batch is on record. */
  get isComplete(): boolean {
    return this.found?.state === RECEIPT_COMPLETE;
  }

  /** Whether the first receipt of this request is queued; none of its events is, before. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Events that the last receipt queued speaks of. */
  get events(): number {
    return this.#events;
  }

  /** Whether one is due when `events` of the body are dealt with. */
  isDue(events: number): boolean {
    if (!this.#isOpen || this.#isFrozenNoted) return false;
    return this.#frozen !== undefined || events - this.#events >= RECEIPT_EVENTS;
  }

  /**
   * The event behind `part` was refused for a reason that may pass (no room in the store). A repetition
   * tries again from there on: no receipt says more from now on.
   */
  freeze(part: BodyPart, rejected: number): void {
    this.#frozen ??= { part, rejected };
  }

  /** Queues the receipt that comes before every event of this request, or is due. Needs room. */
  note(part: BodyPart, rejected: number): void {
    this.#isOpen = true;
    if (this.#frozen === undefined) this.#put(part, RECEIPT_OPEN, rejected);
    else {
      this.#isFrozenNoted = true;
      this.#put(this.#frozen.part, RECEIPT_FROZEN, this.#frozen.rejected);
    }
  }

  /** Whether the request, everything of it being settled, has a last receipt to come. */
  hasLast(isComplete: boolean): boolean {
    if (this.#frozen !== undefined) return false;
    return this.#isOpen || (isComplete && this.found !== undefined && !this.isComplete);
  }

  /** Queues the last receipt. Needs room. */
  end(part: BodyPart, isComplete: boolean, rejected: number): void {
    this.#put(part, isComplete ? RECEIPT_COMPLETE : RECEIPT_ENDED, rejected);
  }

  #put(part: BodyPart, state: number, rejected: number): void {
    this.#events = part.events;
    const { firstSeq, lastSeq } = this.#batch;
    const since = this.#sinceFor(part.events);
    const receipt = { ...part, since, state, rejected, firstSeq, lastSeq };
    this.#intake.claimReceipt(this.#batch, (slots, index) =>
      putReceipt(slots, index, this.#key, receipt, Date.now()),
    );
  }

  /** Behind an open receipt, fewer events than stand between two were accepted without another. */
  #sinceFor(events: number): number {
    const { found } = this;
    if (found?.state === RECEIPT_FROZEN) return found.since;
    if (found?.state !== RECEIPT_OPEN) return 0;
    return events < found.events + 2 * RECEIPT_EVENTS ? found.since : 0;
  }
}
