/**
 * How many reservations of room stand, in all and for each shard, modulo 2^32: made and not taken back, whether
 * they were settled or not. Of one producer alone, or of several together (docs/producers.md). A producer's thread.
 */
import { Tallies } from '../threads/tallies.ts';

export interface Reservations {
  readonly total: number;
  ofShard(shard: number): number;
  /** Adds one of the shard unless the total or the shard's are at their bounds; returns whether it did. */
  add(shard: number, bound: number, shardBound: number): boolean;
  /** Takes one of the shard back, which was added here. */
  remove(shard: number): void;
}

/** Where nobody else reserves. */
export class OwnReservations implements Reservations {
  readonly #shards: Int32Array;
  #total = 0;

  constructor(shards: number) {
    this.#shards = new Int32Array(shards);
  }

  get total(): number {
    return this.#total;
  }

  ofShard(shard: number): number {
    return this.#shards[shard];
  }

  add(shard: number, bound: number, shardBound: number): boolean {
    if (((bound - this.#total) | 0) <= 0) return false;
    if (((shardBound - this.#shards[shard]) | 0) <= 0) return false;
    this.#total = (this.#total + 1) | 0;
    this.#shards[shard]++;
    return true;
  }

  remove(shard: number): void {
    this.#total = (this.#total - 1) | 0;
    this.#shards[shard]--;
  }
}

/** Those of all, and behind it those of each shard. */
const TOTAL = 0;

export class SharedReservations implements Reservations {
  readonly #tallies: Tallies;

  /** The view of producer `producer` on memory made by `create` for so many shards. */
  constructor(buffer: SharedArrayBuffer, shards: number, producer: number) {
    this.#tallies = new Tallies(buffer, 1 + shards, producer);
  }

  static bytes(shards: number, producers: number): number {
    return Tallies.bytes(1 + shards, producers);
  }

  static create(shards: number, producers: number): SharedArrayBuffer {
    return Tallies.create(1 + shards, producers);
  }

  get total(): number {
    return this.#tallies.total(TOTAL);
  }

  ofShard(shard: number): number {
    return this.#tallies.total(1 + shard);
  }

  add(shard: number, bound: number, shardBound: number): boolean {
    // The shard's is looked at first: a total that is raised in vain keeps others waiting.
    if (((shardBound - this.ofShard(shard)) | 0) <= 0) return false;
    if (this.#tallies.raise(TOTAL, 1, bound) === 0) return false;
    if (this.#tallies.raise(1 + shard, 1, shardBound) === 1) return true;
    this.#tallies.lower(TOTAL, 1);
    return false;
  }

  remove(shard: number): void {
    this.#tallies.lower(1 + shard, 1);
    this.#tallies.lower(TOTAL, 1);
  }

  /**
   * Main thread: `producer` is dead, and of its reservations only `released` (of each shard) count, because they
   * are settled. False if it is to be called again.
   */
  inherit(producer: number, released: readonly number[]): boolean {
    const total = released.reduce((sum, ofShard) => (sum + ofShard) | 0, 0);
    this.#tallies.inherit(TOTAL, producer, total);
    for (const [shard, ofShard] of released.entries()) {
      this.#tallies.inherit(1 + shard, producer, ofShard);
    }
    let isBalanced = true;
    for (let tally = 0; tally <= released.length; tally++) {
      isBalanced = this.#tallies.balance(tally) !== undefined && isBalanced;
    }
    return isBalanced;
  }
}
