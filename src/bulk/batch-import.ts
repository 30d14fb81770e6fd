/**
 * What both ways of accepting a batch share: slice by slice from the source through the reader into a
 * sink, and the record of what was wrong. Main thread; one slice in a turn of the event loop.
 */

import {
  type BatchReceipt,
  type BodyPart,
  RECEIPT_COMPLETE,
  RECEIPT_ENDED,
} from '../dedupe/batch-receipt.ts';
import { type DedupeWindow, KEY_CONFLICT } from '../dedupe/dedupe-window.ts';
import type { BodyRefused } from '../errors/body-refused.ts';
import { type BodyFault, PROBLEMS } from '../errors/problems.ts';
import { FUTURE_MS_MAX } from '../event/event-time.ts';
import type { Batch } from '../intake/batch.ts';
import type { BulkIntake } from '../intake/bulk-intake.ts';
import { SLOT_FINGERPRINT, SLOT_WORDS, type SlotViews } from '../ring/slot.ts';
import type { BatchKeys } from './batch-keys.ts';
import type { BatchReader, EventSink } from './batch-reader.ts';
import type { BatchReceipts } from './batch-receipts.ts';
import type { ByteSource } from './byte-source.ts';
import { FaultList } from './fault-list.ts';

/**
 * How an import ends:
 * - `queued`: the body was read to its end, and all its good events are on their way.
 * - `faulty`: not all events are good, and this import wants all or none; nothing was queued.
 * - `malformed`: the body is no batch from some place on; `malformation` says why.
 * - `other-body`: another body came before under the request's key; nothing was queued.
 * - `conflict`: events came before under the same keys, and were others; nothing was queued.
 * - `store-full`, `undecided`: not all new products have room; nothing was queued.
 * - `stopping`: the service stops; what was queued before is on its way.
 * - `failed`: the log did not accept in time what was queued.
 */
export type ImportEnd =
  | 'queued'
  | 'faulty'
  | 'malformed'
  | 'other-body'
  | 'conflict'
  | 'store-full'
  | 'undecided'
  | 'stopping'
  | 'failed';

type ReadEnd = 'done' | 'malformed' | 'other-body' | 'conflict' | 'stopping' | 'failed';

export const CONFLICT: BodyFault = {
  pointer: '/event_id',
  detail: PROBLEMS['idempotency-conflict'].detail,
};

export const STORE_FULL: BodyFault = {
  pointer: '/product_id',
  detail: PROBLEMS['store-full'].detail,
};

export interface BatchImportOptions {
  readonly intake: BulkIntake;
  readonly batch: Batch;
  readonly reader: BatchReader;
  readonly keys: BatchKeys;
  /** The keys known to the sequencer. */
  readonly known: DedupeWindow;
  /** Of a request with a key. */
  readonly receipts: BatchReceipts | undefined;
}

export abstract class BatchImport implements EventSink {
  readonly faults = new FaultList();
  readonly batch: Batch;
  protected readonly intake: BulkIntake;
  protected readonly keys: BatchKeys;
  /** The keys known to the sequencer. */
  protected readonly known: DedupeWindow;
  protected readonly receipts: BatchReceipts | undefined;
  /** Events that contradict what came under their own ids, as far as this thread can see it. */
  protected conflicts = 0;
  readonly #reader: BatchReader;
  /** What is on record of the batch is the beginning of this body. */
  #isVerified = false;
  #refusal: 'other-body' | 'conflict' | undefined;
  /** Events that were not accepted the first time, for reasons that can't be seen now. */
  #rejectedUnseen = 0;

  constructor({ intake, batch, reader, keys, known, receipts }: BatchImportOptions) {
    this.intake = intake;
    this.batch = batch;
    this.keys = keys;
    this.known = known;
    this.receipts = receipts;
    this.#reader = reader;
    if (receipts !== undefined) reader.keepDigest();
  }

  /** Events that were not accepted, those of the first time included. */
  get rejected(): number {
    return this.faults.events + this.#rejectedUnseen;
  }

  /** Whether all of it was on record before. */
  get isReplay(): boolean {
    return this.#isVerified && this.receipts?.isComplete === true;
  }

  /** Events seen so far, faulty ones included. */
  get events(): number {
    return this.#reader.events;
  }

  /** Why the end was `malformed`. */
  get malformation(): BodyRefused | undefined {
    return this.#reader.malformation;
  }

  /** Reads everything from `source`. What is queued then is not settled yet. */
  abstract run(source: ByteSource): Promise<ImportEnd>;

  abstract readonly slots: SlotViews;
  abstract nextSlot(): number;
  abstract accept(number: number, order: number, eventId: string | undefined): boolean;

  refuse(number: number, faults: readonly BodyFault[]): void {
    this.faults.add(number, faults);
  }

  /** Whether all of an import that ended as `queued` is on record then, for good. */
  protected abstract get isWhole(): boolean;

  /**
   * Puts on record how the request ended, when everything that it queued is settled; resolves when
   * that is durable, or the log has failed.
   */
  async putOnRecord(isQueued: boolean): Promise<void> {
    const { intake, batch, receipts } = this;
    const isComplete = isQueued && this.events > 0 && this.isWhole;
    if (batch.hasFailed || receipts?.hasLast(isComplete) !== true) return;
    while (intake.room() === 0 && !batch.hasFailed) await intake.whenRoom(batch, false);
    if (batch.hasFailed) return;
    receipts.end(this.part, isComplete, this.rejectedOfPart);
    intake.publish();
    await intake.whenSettled(batch);
  }

  /** What is read of the body, up to the end of an event. */
  protected get part(): BodyPart {
    return this.#reader.part;
  }

  /** Events of `part`. */
  protected get ended(): number {
    return this.#reader.ended;
  }

  /** Those of `part` that were not accepted: one that has not ended yet is a fault already. */
  protected get rejectedOfPart(): number {
    return this.rejected - (this.#reader.events - this.#reader.ended);
  }

  /** Whether what was read so far may be the body that is on record. Asked before every event. */
  protected isSameBody(): boolean {
    if (this.#refusal !== undefined) return false;
    if (this.#isVerified || this.receipts === undefined) return true;
    const { found } = this.receipts;
    if (this.#reader.ended < this.receipts.passedOver) return true;
    this.#isVerified = true;
    if (found === undefined) return true;
    const { bytes, crc } = this.#reader.part;
    if (bytes !== found.bytes || crc !== found.crc) return this.isRefused('other-body');
    this.#count(found);
    return true;
  }

  /** Counts the events passed over. */
  #count(found: BatchReceipt): void {
    const seen = this.faults.events;
    // Events that were on their way when an open receipt was written are not in its count.
    const isCounted = found.state === RECEIPT_ENDED || found.state === RECEIPT_COMPLETE;
    const rejected = isCounted ? found.rejected : Math.max(found.rejected, seen);
    this.#rejectedUnseen = rejected - seen;
    this.batch.noteKnown(found.events - rejected, found.firstSeq, found.lastSeq);
  }

  /** The body is refused, none of it being queued. */
  protected isRefused(why: 'other-body' | 'conflict'): false {
    this.#refusal = why;
    return false;
  }

  /**
   * Passes over the event in the slot, which has its key, if it is on record; false if it is not, and
   * goes on.
   */
  protected passesOver(
    { words }: SlotViews,
    index: number,
    number: number,
    order: number,
    eventId: string | undefined,
  ): boolean {
    if (this.receipts === undefined || order >= this.receipts.passedOver) return false;
    const seq = this.known.seqOf(words, index * SLOT_WORDS + SLOT_FINGERPRINT);
    if (seq > 0) this.batch.noteSeqs(seq, seq);
    if (seq === KEY_CONFLICT && eventId !== undefined) {
      this.conflicts++;
      this.refuse(number, [CONFLICT]);
    }
    return true;
  }

  /** Reads the body to its end, or as far as it goes. */
  protected async readAll(source: ByteSource): Promise<ReadEnd> {
    let state: ReadEnd | 'hungry' = 'hungry';
    while (state === 'hungry') {
      const chunk = await source.next();
      if (chunk === undefined) {
        this.#reader.end();
        state = await this.#readOn();
        continue;
      }
      for (let from = 0; from < chunk.length && state === 'hungry'; ) {
        from += this.#reader.fill(chunk, from);
        state = await this.#readOn();
      }
    }
    return state === 'done' ? this.#end() : state;
  }

  #end(): ReadEnd {
    this.#reader.close();
    const { receipts } = this;
    if (!this.isSameBody()) return this.#refusal as ReadEnd;
    if (receipts === undefined) return 'done';
    const { ended } = this.#reader;
    const isShort = ended < receipts.passedOver;
    const isLong = receipts.isComplete && ended > receipts.passedOver;
    return isShort || isLong ? 'other-body' : 'done';
  }

  async #readOn(): Promise<ReadEnd | 'hungry'> {
    for (;;) {
      await this.intake.turns.next();
      if (!this.intake.isOpen) return 'stopping';
      if (this.batch.hasFailed) return 'failed';
      const nowMs = Date.now();
      const state = this.#reader.read(this, nowMs, nowMs + FUTURE_MS_MAX);
      this.intake.publish();
      if (this.#refusal !== undefined) return this.#refusal;
      if (state === 'blocked') await this.intake.whenRoom(this.batch, true);
      else if (state !== 'more') return state;
    }
  }
}
