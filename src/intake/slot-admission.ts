/**
 * The last steps of a slot that a batch has filled, before it may be queued: the hash of its product
 * and, where that may be new, room for it. Main thread.
 */
import {
  FLAG_RESERVED,
  FLAGS_RESERVATION,
  metaIdBytes,
  reservedMark,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import type { Admission, Reservation } from '../store/admission.ts';
import { hashId } from '../store/id-hash.ts';
import { shardOf } from '../store/shard.ts';
import type { Knowledge, SharedProductStore } from '../store/shared-product-store.ts';
import type { HashKey } from '../threads/shared-memory.ts';

export interface SlotAdmissionOptions {
  readonly store: SharedProductStore;
  readonly admission: Admission;
  readonly shards: number;
  readonly hashKey: HashKey;
  /** Which producer reserves; the main thread, unless given. */
  readonly producer?: number;
}

export class SlotAdmission {
  /**
   * Batches that have decided about room for events which they have not queued yet. What they knew stays true
   * as long as they are here (write-path/admission-fence.ts).
   */
  readonly deciding = new Set<object>();
  readonly #options: SlotAdmissionOptions;
  readonly #mark: number;

  constructor(options: SlotAdmissionOptions) {
    this.#options = options;
    this.#mark = reservedMark(options.producer ?? 0);
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

  /** Whether the slot's product has a place in the store that it keeps, listed or not. */
  knows({ words }: SlotViews, index: number): Knowledge {
    const w = index * SLOT_WORDS;
    const idBytes = metaIdBytes(words[w + SLOT_META]);
    const hash = words[w + SLOT_HASH];
    return this.#options.store.knows(words, w + SLOT_ID, idBytes, hash);
  }

  /**
   * Reserves room for the slot's product, and marks the slot when it got some. `held`: reservations
   * of other slots that wait for this one.
   */
  reserve(slots: SlotViews, index: number, held = 0): Reservation {
    const reservation = this.#options.admission.reserve(this.#shard(slots, index), held);
    const meta = index * SLOT_WORDS + SLOT_META;
    if (reservation === 'reserved') slots.words[meta] |= this.#mark;
    return reservation;
  }

  /**
   * Writes the hash of the slot's product, and reserves room where that may be new; `reserved` also
   * where it needs none. One look at the slot, because every event passes here.
   */
  admit({ words }: SlotViews, index: number): Reservation {
    const { store, admission, shards, hashKey } = this.#options;
    const w = index * SLOT_WORDS;
    const meta = words[w + SLOT_META];
    const idBytes = metaIdBytes(meta);
    const hash = hashId(hashKey, words, w + SLOT_ID, idBytes);
    words[w + SLOT_HASH] = hash;
    const shard = shardOf(hash, shards);
    // While there is plenty of room, reserving some costs less than looking whether it is needed.
    if (admission.isPlentiful(shard) && admission.reserve(shard) === 'reserved') {
      words[w + SLOT_META] = meta | this.#mark;
      return 'reserved';
    }
    const knowledge = store.knows(words, w + SLOT_ID, idBytes, hash);
    if (knowledge === 'known') return 'reserved';
    const reservation = admission.reserve(shard);
    if (reservation === 'full' && knowledge === 'busy') return 'undecided';
    if (reservation === 'reserved') words[w + SLOT_META] = meta | this.#mark;
    return reservation;
  }

  /** Takes back what `reserve` gave, if it gave something: no applier will see this slot. */
  cancel(slots: SlotViews, index: number): void {
    const meta = index * SLOT_WORDS + SLOT_META;
    const value = slots.words[meta];
    if ((value & FLAG_RESERVED) === 0) return;
    slots.words[meta] = value & ~FLAGS_RESERVATION;
    this.#options.admission.cancel(this.#shard(slots, index));
  }

  #shard({ words }: SlotViews, index: number): number {
    return shardOf(words[index * SLOT_WORDS + SLOT_HASH], this.#options.shards);
  }
}
