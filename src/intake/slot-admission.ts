/**
 * The last steps of a slot that a batch has filled, before it may be queued: the hash of its product
 * and, where that may be new, room for it. Main thread.
 */
import {
  FLAG_RESERVED,
  metaIdBytes,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import type { Admission, Reservation } from '../store/admission.ts';
import { hashId } from '../store/id-hash.ts';
import { shardOf } from '../store/shard.ts';
import type { SharedProductStore } from '../store/shared-product-store.ts';
import type { HashKey } from '../threads/shared-memory.ts';

export interface SlotAdmissionOptions {
  readonly store: SharedProductStore;
  readonly admission: Admission;
  readonly shards: number;
  readonly hashKey: HashKey;
}

export class SlotAdmission {
  readonly #options: SlotAdmissionOptions;

  constructor(options: SlotAdmissionOptions) {
    this.#options = options;
  }

  /** Writes the hash of the slot's product. */
  hash(slots: SlotViews, index: number): void {
    const { words } = slots;
    const w = index * SLOT_WORDS;
    const idBytes = metaIdBytes(words[w + SLOT_META]);
    words[w + SLOT_HASH] = hashId(this.#options.hashKey, words, w + SLOT_ID, idBytes);
  }

  /** Whether there is so much room that looking whether a product is known costs more than it. */
  isPlentiful(slots: SlotViews, index: number): boolean {
    return this.#options.admission.isPlentiful(this.#shard(slots, index));
  }

  /** Whether the slot's product is in the store, listed or not. */
  isKnown({ words }: SlotViews, index: number): boolean {
    const w = index * SLOT_WORDS;
    const idBytes = metaIdBytes(words[w + SLOT_META]);
    const hash = words[w + SLOT_HASH];
    return this.#options.store.has(words, w + SLOT_ID, idBytes, hash);
  }

  /**
   * Reserves room for the slot's product, and marks the slot when it got some. `held`: reservations
   * of other slots that wait for this one.
   */
  reserve(slots: SlotViews, index: number, held = 0): Reservation {
    return this.#reserveIn(this.#shard(slots, index), slots, index, held);
  }

  #reserveIn(shard: number, slots: SlotViews, index: number, held: number): Reservation {
    const reservation = this.#options.admission.reserve(shard, held);
    const meta = index * SLOT_WORDS + SLOT_META;
    if (reservation === 'reserved') slots.words[meta] = slots.words[meta] | FLAG_RESERVED;
    return reservation;
  }

  /** `reserve` where the product may be new; `reserved` also where it needs no room. */
  admit(slots: SlotViews, index: number): Reservation {
    const { admission, shards } = this.#options;
    const shard = shardOf(slots.words[index * SLOT_WORDS + SLOT_HASH], shards);
    // While there is plenty of room, reserving some costs less than looking whether it is needed.
    if (!admission.isPlentiful(shard) && this.isKnown(slots, index)) return 'reserved';
    return this.#reserveIn(shard, slots, index, 0);
  }

  /** Takes back what `reserve` gave, if it gave something: no applier will see this slot. */
  cancel(slots: SlotViews, index: number): void {
    const meta = index * SLOT_WORDS + SLOT_META;
    const value = slots.words[meta];
    if ((value & FLAG_RESERVED) === 0) return;
    slots.words[meta] = value & ~FLAG_RESERVED;
    this.#options.admission.cancel(this.#shard(slots, index));
  }

  #shard({ words }: SlotViews, index: number): number {
    return shardOf(words[index * SLOT_WORDS + SLOT_HASH], this.#options.shards);
  }
}
