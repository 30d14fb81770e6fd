/**
 * Accepts a batch whole or not at all (`on_error=reject`): every event is validated first, then room is
 * reserved for all new products, and only then the first one is queued. From there on the service
 * goes through with it; a crash or a dying disk in the middle may still leave the first part durable,
 * which was never acknowledged, and the same batch sent again completes it. Main thread. (Over 300 lines: the
 * steps of one batch and what gives back what they took.)
 */
import { Buffer } from 'node:buffer';
import { type BodyPart, RECEIPT_EVENTS } from '../dedupe/batch-receipt.ts';
import { KEY_CONFLICT } from '../dedupe/dedupe-window.ts';
import { BodyRefused } from '../errors/body-refused.ts';
import { type StagedBlock, Staging } from '../intake/staging.ts';
import { RETRY_MS_MAX } from '../later-turns.ts';
import {
  isKeyed,
  KEY_WORDS,
  metaIdBytes,
  SLOT_BYTES,
  SLOT_FINGERPRINT,
  SLOT_ID_BYTE,
  SLOT_META,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import type { Reservation } from '../store/admission.ts';
import {
  BatchImport,
  type BatchImportOptions,
  CONFLICT,
  type ImportEnd,
  STORE_FULL,
} from './batch-import.ts';
import { NOTHING } from './batch-reader.ts';
import type { BatchReceipts } from './batch-receipts.ts';
import type { ByteSource } from './byte-source.ts';

/** Slots worked on in one turn of the event loop. */
const SLOTS_A_TURN = 2048;

type ReserveOne = (slots: SlotViews, index: number) => Reservation;

/** The refusal of a body that is longer than a batch which is accepted whole may be. */
export function bodyTooLong(bytesMax: number): BodyRefused {
  const detail = `The decoded body must not be longer than ${bytesMax} bytes with on_error=reject.`;
  return new BodyRefused('body-too-large', detail);
}

export interface StagedImportOptions extends BatchImportOptions {
  /** The longest body, decoded. */
  readonly bytesMax: number;
}

export class StagedImport extends BatchImport {
  readonly #staging = new Staging();
  readonly #bytesMax: number;
  /** What was read when every RECEIPT_EVENTS events had ended, in order. */
  readonly #parts: BodyPart[] = [];
  #block = this.#staging.next();
  #hasKeys = false;
  /** Reservations taken one by one, none of which is given back before all are there. */
  #held = 0;
  /** Events queued so far. */
  #queued = 0;

  constructor(options: StagedImportOptions) {
    super(options);
    this.#bytesMax = options.bytesMax;
    options.batch.onConflict = (number) => this.refuse(number, [CONFLICT]);
    options.batch.onNoRoom = (number) => this.refuse(number, [STORE_FULL]);
  }

  override async run(source: ByteSource): Promise<ImportEnd> {
    const end = await this.readAll(new LimitedSource(source, this.#bytesMax));
    if (end !== 'done') return end;
    if (this.faults.events > 0) {
      return this.faults.events > this.conflicts ? 'faulty' : 'conflict';
    }
    if (this.#hasKeys && (await this.#hasConflicts())) return 'conflict';
    const { deciding } = this.intake.admission;
    deciding.add(this);
    try {
      const refused = await this.#reserveAll();
      return refused ?? (await this.#queueAll());
    } finally {
      deciding.delete(this);
    }
  }

  override get slots(): SlotViews {
    return this.#block.slots;
  }

  /** A conflict that only the sequencer saw is looked at again when the batch comes again. */
  protected override get isWhole(): boolean {
    return this.faults.events === 0;
  }

  override nextSlot(): number {
    if (this.receipts !== undefined) {
      if (!this.isSameBody()) return -1;
      const { ended } = this;
      if (ended === (this.#parts.length + 1) * RECEIPT_EVENTS) this.#parts.push(this.part);
    }
    this.#block = this.#staging.next();
    return this.#block.count;
  }

  override accept(number: number, order: number, eventId: string | undefined): boolean {
    const { slots, numbers, count } = this.#block;
    const isKeyed = this.keys.put(slots, count, order, eventId);
    if (this.passesOver(slots, count, number, order, eventId)) return true;
    if (this.receipts?.isComplete) return this.isRefused('other-body');
    if (isKeyed) this.#hasKeys = true;
    this.intake.admission.hash(slots, count);
    numbers[count] = number;
    this.#block.count++;
    return true;
  }

  /**
   * Looks for events that came before under the same key and were others, in this batch or before
   * it, and notes them as faults. The sequencer decides; but here nothing is queued yet. What it has
   * in hand just now can be missed, or taken for a conflict: so conflicts are looked at twice.
   */
  async #hasConflicts(): Promise<boolean> {
    const own = new Map<string, number>();
    const suspects: { slots: SlotViews; index: number; number: number }[] = [];
    for (const { slots, numbers, count } of this.#staging.blocks) {
      for (let index = 0; index < count; ) {
        await this.intake.turns.next();
        if (!this.intake.isOpen) return false;
        for (const end = Math.min(count, index + SLOTS_A_TURN); index < end; index++) {
          if (!isKeyed(slots.words, index)) continue;
          const number = numbers[index];
          if (contradicts(own, slots, index)) this.refuse(number, [CONFLICT]);
          else if (this.#isConflict(slots, index)) suspects.push({ slots, index, number });
        }
      }
    }
    await this.intake.turns.next();
    for (const { slots, index, number } of suspects) {
      if (this.#isConflict(slots, index)) this.refuse(number, [CONFLICT]);
    }
    return this.faults.events > 0;
  }

  #isConflict({ words }: SlotViews, index: number): boolean {
    return this.known.seqOf(words, index * SLOT_WORDS + SLOT_FINGERPRINT) === KEY_CONFLICT;
  }

  /** Reserves room for all that may be new; if there is not enough, says so and keeps none of it. */
  async #reserveAll(): Promise<'store-full' | 'undecided' | 'stopping' | undefined> {
    // An event each is quick to reserve, but a batch may have more events than there is room left.
    if ((await this.#reserve((slots, index) => this.#reserveOne(slots, index))) === undefined) {
      return undefined;
    }
    const reserved = new Set<string>();
    return this.#reserve((slots, index) => this.#reserveExactly(slots, index, reserved));
  }

  async #reserve(
    reserveOne: ReserveOne,
  ): Promise<'store-full' | 'undecided' | 'stopping' | undefined> {
    let deadlineMs = Number.POSITIVE_INFINITY;
    for (const { slots, count } of this.#staging.blocks) {
      for (let index = 0; index < count; ) {
        await this.intake.turns.next();
        if (!this.intake.isOpen) return this.#giveBack('stopping');
        const end = Math.min(count, index + SLOTS_A_TURN);
        while (index < end) {
          const reservation = reserveOne(slots, index);
          if (reservation === 'full') return this.#giveBack('store-full');
          if (reservation === 'undecided') {
            deadlineMs = Math.min(deadlineMs, performance.now() + RETRY_MS_MAX);
            if (performance.now() >= deadlineMs) return this.#giveBack('undecided');
            break; // events in flight may turn out, by the next turn, to be for it
          }
          index++;
        }
      }
    }
    return undefined;
  }

  #reserveOne(slots: SlotViews, index: number): Reservation {
    const { admission } = this.intake;
    if (!admission.isPlentiful(slots, index)) return 'full';
    return admission.reserve(slots, index) === 'reserved' ? 'reserved' : 'full';
  }

  /** Once for each product that is new, with the first of its events in the batch. */
  #reserveExactly(slots: SlotViews, index: number, reserved: Set<string>): Reservation {
    const { admission } = this.intake;
    const knowledge = admission.knows(slots, index);
    if (knowledge === 'known') return 'reserved';
    const id = idOf(slots, index);
    if (reserved.has(id)) return 'reserved';
    const reservation = admission.reserve(slots, index, this.#held);
    if (reservation === 'full' && knowledge === 'busy') return 'undecided';
    if (reservation === 'reserved') this.#held++;
    // A keyed event may turn out to be no event; then no other one may rely on its room.
    if (reservation === 'reserved' && !isKeyed(slots.words, index)) reserved.add(id);
    return reservation;
  }

  /** Gives back the room of all that is not queued; returns `why`. */
  #giveBack<T>(why: T): T {
    let place = 0;
    for (const { slots, count } of this.#staging.blocks) {
      for (let index = 0; index < count; index++) {
        if (place++ >= this.#queued) this.intake.admission.cancel(slots, index);
      }
    }
    return why;
  }

  async #queueAll(): Promise<'queued' | 'failed'> {
    const { receipts } = this;
    for (const block of this.#staging.blocks) {
      for (let from = 0; from < block.count; ) {
        await this.intake.turns.next();
        if (this.batch.hasFailed) return this.#giveBack('failed');
        if (receipts !== undefined && this.#isReceiptDue(receipts)) {
          if (this.intake.room() > 0) receipts.note(this.#partBefore(receipts), this.rejected);
          else await this.intake.whenRoom(this.batch, false);
          continue;
        }
        const count = this.#queue(block, from);
        this.intake.publish();
        from += count;
        this.#queued += count;
        if (count === 0) await this.intake.whenRoom(this.batch, false);
      }
    }
    return 'queued';
  }

  /** The first one comes before all events, and then one behind every RECEIPT_EVENTS of the body. */
  #isReceiptDue(receipts: BatchReceipts): boolean {
    return (
      !receipts.isOpen || (this.#untilReceipt() === RECEIPT_EVENTS && receipts.events < this.#place)
    );
  }

  /** What of the body is queued, or on record, where a receipt is due. */
  #partBefore({ isOpen, passedOver, found }: BatchReceipts): BodyPart {
    if (isOpen) return this.#parts[this.#place / RECEIPT_EVENTS - 1];
    const { bytes, crc } = found ?? NOTHING;
    return { events: passedOver, bytes, crc };
  }

  /** Events of the body before the next one to be queued. */
  get #place(): number {
    return (this.receipts?.passedOver ?? 0) + this.#queued;
  }

  /** Events to be queued before a receipt is due. */
  #untilReceipt(): number {
    if (this.receipts === undefined) return Number.POSITIVE_INFINITY;
    return RECEIPT_EVENTS - (this.#place % RECEIPT_EVENTS);
  }

  /** Queues one turn's share of what there is room for; returns how many events that is. */
  #queue({ slots, numbers, count }: StagedBlock, from: number): number {
    const most = Math.min(SLOTS_A_TURN, this.intake.room(), this.#untilReceipt());
    const end = Math.min(count, from + most);
    for (let start = from; start < end; ) {
      const number = numbers[start];
      let next = start + 1;
      while (next < end && numbers[next] === number + (next - start)) next++;
      const run = { batch: this.batch, isKeyed: this.#hasKeys, number };
      this.intake.claimCopies(run, slots, start, next - start);
      start = next;
    }
    return end - from;
  }
}

/** Whether another event of the batch has this key; notes it otherwise. */
function contradicts(own: Map<string, number>, { words }: SlotViews, index: number): boolean {
  const at = index * SLOT_WORDS + SLOT_FINGERPRINT;
  const key = `${words[at]},${words[at + 1]},${words[at + 2]}`;
  const content = words[at + KEY_WORDS];
  const before = own.get(key);
  if (before === undefined) own.set(key, content);
  return before !== undefined && before !== content;
}

function idOf({ bytes, words }: SlotViews, index: number): string {
  const start = index * SLOT_BYTES + SLOT_ID_BYTE;
  const idBytes = metaIdBytes(words[index * SLOT_WORDS + SLOT_META]);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, idBytes).toString('latin1');
}

/** Refuses a body that is longer than `bytesMax` as soon as that is seen. */
class LimitedSource implements ByteSource {
  readonly #source: ByteSource;
  readonly #bytesMax: number;
  #bytesLeft: number;

  constructor(source: ByteSource, bytesMax: number) {
    this.#source = source;
    this.#bytesMax = bytesMax;
    this.#bytesLeft = bytesMax;
  }

  async next(): Promise<Uint8Array | undefined> {
    const chunk = await this.#source.next();
    this.#bytesLeft -= chunk?.length ?? 0;
    if (this.#bytesLeft < 0) throw bodyTooLong(this.#bytesMax);
    return chunk;
  }
}
