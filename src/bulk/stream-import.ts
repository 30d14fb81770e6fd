/**
 * Feeds a batch of any length to the log as it arrives (`on_error=continue`): good events straight
 * into the ring, the others onto the list of faults. Reads no faster than the log takes, so its
 * memory is that of one slice. Main thread.
 */
import { type BodyFault, PROBLEMS } from '../errors/problems.ts';
import type { Batch } from '../intake/batch.ts';
import type { BulkIntake } from '../intake/bulk-intake.ts';
import { RETRY_MS_MAX } from '../later-turns.ts';
import type { SlotViews } from '../ring/slot.ts';
import { BatchImport, type ImportEnd } from './batch-import.ts';
import type { BatchKeys } from './batch-keys.ts';
import type { BatchReader } from './batch-reader.ts';
import type { ByteSource } from './byte-source.ts';

const STORE_FULL: BodyFault = { pointer: '/product_id', detail: PROBLEMS['store-full'].detail };
export const CONFLICT: BodyFault = {
  pointer: '/event_id',
  detail: PROBLEMS['idempotency-conflict'].detail,
};

export class StreamImport extends BatchImport {
  readonly slots: SlotViews;
  readonly #keys: BatchKeys;
  /** The slot that `nextSlot` gave last. */
  #index = 0;
  /** Since when the present event waits for a decision on its room; 0 = it does not. */
  #undecidedSinceMs = 0;

  constructor(intake: BulkIntake, batch: Batch, reader: BatchReader, keys: BatchKeys) {
    super(intake, batch, reader);
    this.#keys = keys;
    this.slots = intake.slots;
    batch.onConflict = (number) => this.refuse(number, [CONFLICT]);
  }

  override async run(source: ByteSource): Promise<ImportEnd> {
    const end = await this.readAll(source);
    return end === 'done' ? 'queued' : end;
  }

  override nextSlot(): number {
    this.#index = this.intake.nextSlot();
    return this.#index;
  }

  override take(number: number, order: number, eventId: string | undefined): boolean {
    const { admission } = this.intake;
    const isKeyed = this.#keys.put(this.slots, this.#index, order, eventId);
    admission.hash(this.slots, this.#index);
    const reservation = admission.admit(this.slots, this.#index);
    if (reservation === 'undecided' && !this.#hasWaitedEnough()) return false;
    this.#undecidedSinceMs = 0;
    if (reservation === 'reserved') this.intake.claim(this.batch, number, isKeyed);
    else this.refuse(number, [STORE_FULL]);
    return true;
  }

  #hasWaitedEnough(): boolean {
    const nowMs = performance.now();
    if (this.#undecidedSinceMs === 0) this.#undecidedSinceMs = nowMs;
    return nowMs - this.#undecidedSinceMs >= RETRY_MS_MAX;
  }
}
