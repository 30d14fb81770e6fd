/**
 * Feeds a batch of any length to the log as it arrives (`on_error=continue`): good events straight
 * into the ring, the others onto the list of faults. Reads no faster than the log takes, so its
 * memory is that of one slice. Main thread.
 */
import { KEY_CONFLICT } from '../dedupe/dedupe-window.ts';
import { RETRY_MS_MAX } from '../later-turns.ts';
import { SLOT_FINGERPRINT, SLOT_WORDS, type SlotViews } from '../ring/slot.ts';
import {
  BatchImport,
  type BatchImportOptions,
  CONFLICT,
  type ImportEnd,
  STORE_FULL,
} from './batch-import.ts';
import type { BatchReceipts } from './batch-receipts.ts';
import type { ByteSource } from './byte-source.ts';

export class StreamImport extends BatchImport {
  readonly slots: SlotViews;
  /** The slot that `nextSlot` gave last. */
  #index = 0;
  /** Since when the present event waits for a decision on its room; 0 = it does not. */
  #undecidedSinceMs = 0;

  constructor(options: BatchImportOptions) {
    super(options);
    const { intake, batch } = options;
    this.slots = intake.slots;
    batch.onConflict = (number) => this.refuse(number, [CONFLICT]);
    batch.onNoRoom = (number) => this.refuse(number, [STORE_FULL]);
  }

  override async run(source: ByteSource): Promise<ImportEnd> {
    const end = await this.readAll(source);
    return end === 'done' ? 'queued' : end;
  }

  /** With faulty events, too: they were reported, and are as faulty the next time. */
  protected override get isWhole(): boolean {
    return true;
  }

  override nextSlot(): number {
    const { intake, receipts } = this;
    if (receipts !== undefined) {
      if (!this.isSameBody() || intake.room() === 0) return -1;
      if (receipts.isDue(this.ended)) receipts.note(this.part, this.rejectedOfPart);
    }
    this.#index = intake.nextSlot();
    return this.#index;
  }

  override accept(number: number, order: number, eventId: string | undefined): boolean {
    const { admission } = this.intake;
    const isKeyed = this.keys.put(this.slots, this.#index, order, eventId);
    if (this.receipts !== undefined) {
      if (this.passesOver(this.slots, this.#index, number, order, eventId)) return true;
      if (!this.#isBegun(this.receipts, number, order, eventId)) return false;
    }
    const reservation = admission.admit(this.slots, this.#index);
    if (reservation === 'undecided' && !this.#hasWaitedEnough()) return false;
    this.#undecidedSinceMs = 0;
    if (reservation === 'reserved') this.intake.claim(this.batch, number, isKeyed);
    else {
      this.receipts?.freeze(this.part, this.rejectedOfPart);
      this.refuse(number, [STORE_FULL]);
    }
    return true;
  }

  /** Whether new events may be queued; else it begins the batch, in the slot of the present event. */
  #isBegun(
    receipts: BatchReceipts,
    number: number,
    order: number,
    eventId: string | undefined,
  ): boolean {
    if (receipts.isOpen) return true;
    if (receipts.isComplete) return this.isRefused('other-body');
    const at = this.#index * SLOT_WORDS + SLOT_FINGERPRINT;
    const isFirst = order === 0 && eventId === undefined;
    if (isFirst && this.known.seqOf(this.slots.words, at) === KEY_CONFLICT) {
      // Not a batch, but a single event came under this key.
      this.refuse(number, [CONFLICT]);
      return this.isRefused('conflict');
    }
    receipts.note(this.part, this.rejectedOfPart);
    return false;
  }

  #hasWaitedEnough(): boolean {
    const nowMs = performance.now();
    if (this.#undecidedSinceMs === 0) this.#undecidedSinceMs = nowMs;
    return nowMs - this.#undecidedSinceMs >= RETRY_MS_MAX;
  }
}
