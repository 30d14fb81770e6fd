/**
 * Room for new products, decided before an event is queued, so that no durable event ever finds
 * no place. Runs on the main thread; the only writer of its own counts.
 *
 * A reservation is taken for every queued event whose product is not yet in the store, and, while
 * there is plenty of room, for every event unseen: that costs less than the look. It is settled by
 * the applier when it has applied that event (`released`), whether or not an entry was made.
 * Taken room = places taken + reservations in flight. The applier counts a place as taken before
 * `released`; here `released` is read before both, so a settled reservation is counted once or
 * twice, never not at all.
 */
import { SHARD_RELEASED, type Shard } from './shard.ts';
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

export class Admission {
  readonly #shards: readonly Shard[];
  readonly #productsMax: number;
  /** Reservations ever made in each shard, modulo 2^32. */
  readonly #reserved: Int32Array;
  /** Lower bounds of the free room; counted exactly only when one of them is used up. */
  #room = 0;
  readonly #shardRoom: Float64Array;
  #callsToCount = 1;

  constructor(shards: readonly Shard[], plan: StorePlan) {
    this.#shards = shards;
    this.#productsMax = plan.productsMax;
    this.#reserved = new Int32Array(shards.length);
    this.#shardRoom = new Float64Array(shards.length);
  }

  /**
   * Whether there is so much room, in all and in shard `index`, that events of products which may
   * be known can reserve some; `reserve` will say `reserved` then. While the answer is no it counts
   * anew now and then: what known products had reserved comes back.
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
    if (!this.#hasRoom(index, 0)) {
      const inFlight = this.#count();
      if (!this.#hasRoom(index, 0)) return inFlight > held ? 'undecided' : 'full';
    }
    this.#room--;
    this.#shardRoom[index]--;
    this.#reserved[index] = (this.#reserved[index] + 1) | 0;
    return 'reserved';
  }

  /** Takes back the reservation of an event that was never queued. */
  cancel(index: number): void {
    this.#room++;
    this.#shardRoom[index]++;
    this.#reserved[index] = (this.#reserved[index] - 1) | 0;
  }

  #hasRoom(index: number, beyond: number): boolean {
    return this.#room > beyond && this.#shardRoom[index] > beyond;
  }

  /** Counts the free room anew; returns the reservations in flight. */
  #count(): number {
    let used = 0;
    let inFlight = 0;
    for (const [index, shard] of this.#shards.entries()) {
      // In this order: pairs with the applier's places taken, then released.
      const released = Atomics.load(shard.words, SHARD_RELEASED);
      const reserved = (this.#reserved[index] - released) | 0;
      const { taken } = shard;
      this.#shardRoom[index] = shard.entries - taken - reserved;
      used += taken;
      inFlight += reserved;
    }
    this.#room = this.#productsMax - used - inFlight;
    return inFlight;
  }
}
