/**
 * Room for new products, decided before an event is queued, so that no durable event ever finds
 * no place. In the thread of a producer; docs/producers.md has the stories of several.
 *
 * A reservation is taken for every queued event whose product is not yet in the store, and, while
 * there is plenty of room, for every event unseen: that costs less than the look. It is settled by
 * the applier when it has applied that event (`released`), whether or not an entry was made.
 *
 *   reservations < bound = places + released − places taken, in all and for each shard
 *
 * The applier counts a place as taken before `released`; here `released` is read before both, so a
 * settled reservation is counted once or twice, never not at all. A bound, once counted, holds for good:
 * what takes a place later was reserved, or is released after it. So it is counted anew only when it is reached.
 */
import { OwnReservations, type Reservations } from './reservations.ts';
import type { Shard } from './shard.ts';
import type { StorePlan } from './sizing.ts';

/**
 * - `reserved`: room is reserved for this event.
 * - `full`: there is no room, and no event in flight could be making this product.
 * - `undecided`: what room is left is reserved by events in flight; ask again when they are applied.
 */
export type Reservation = 'reserved' | 'full' | 'undecided';

/** Room that is left to products which are certainly new: others can't keep them waiting for it. */
const ROOM_KEPT = 1024;
/** How often `isPlentiful` counts while the answer is no: a count costs as much as some looks. */
const CALLS_PER_COUNT = 256;

/** Where several producers reserve. */
export interface SeveralReserve {
  readonly reservations: Reservations;
  /** How many they are. */
  readonly producers: number;
}

export class Admission {
  readonly #shards: readonly Shard[];
  readonly #productsMax: number;
  readonly #reservations: Reservations;
  readonly #producers: number;
  /** How many reservations there may be, modulo 2^32. */
  #bound = 0;
  readonly #shardBounds: Int32Array;
  #callsToCount = 1;

  /** Of one producer, unless there are `several`. */
  constructor(shards: readonly Shard[], plan: StorePlan, several?: SeveralReserve) {
    this.#shards = shards;
    this.#productsMax = plan.productsMax;
    this.#reservations = several?.reservations ?? new OwnReservations(shards.length);
    this.#producers = several?.producers ?? 1;
    this.#shardBounds = new Int32Array(shards.length);
  }

  /**
   * Whether there is so much room, in all and in shard `index`, that events of products which may
   * be known can reserve some; `reserve` will say `reserved` then, unless other producers take all of it in
   * between. While the answer is no it counts anew now and then: what known products had reserved comes back.
   */
  isPlentiful(index: number): boolean {
    if (this.#hasRoom(index, ROOM_KEPT)) return true;
    if (--this.#callsToCount > 0) return false;
    this.#callsToCount = CALLS_PER_COUNT;
    this.#count();
    return this.#hasRoom(index, ROOM_KEPT);
  }

  /**
   * Reserves room in shard `index` for one event of a product that may be new. `held`: reservations
   * of the caller's own that can't be settled before it has this one.
   */
  reserve(index: number, held = 0): Reservation {
    if (this.#add(index)) return 'reserved';
    const inFlight = this.#count();
    if (this.#add(index)) return 'reserved';
    return inFlight > held ? 'undecided' : 'full';
  }

  /** Takes back the reservation of an event that was never queued, or that no applier will see. */
  cancel(index: number): void {
    this.#reservations.remove(index);
  }

  #add(index: number): boolean {
    return this.#reservations.add(index, this.#bound, this.#shardBounds[index]);
  }

  #hasRoom(index: number, beyond: number): boolean {
    const reservations = this.#reservations;
    return (
      ((this.#bound - reservations.total) | 0) > beyond &&
      ((this.#shardBounds[index] - reservations.ofShard(index)) | 0) > beyond
    );
  }

  /** Counts the bounds anew; returns the reservations in flight. */
  #count(): number {
    let used = 0;
    let allReleased = 0;
    for (const [index, shard] of this.#shards.entries()) {
      // In this order: pairs with the applier's places taken, then released.
      const released = shard.released(this.#producers);
      const { taken } = shard;
      this.#shardBounds[index] = (shard.entries - taken + released) | 0;
      used += taken;
      allReleased = (allReleased + released) | 0;
    }
    this.#bound = (this.#productsMax - used + allReleased) | 0;
    // Last: what is reserved meanwhile counts as in flight.
    return (this.#reservations.total - allReleased) | 0;
  }
}
