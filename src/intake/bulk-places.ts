/**
 * The places of BULK_QUEUE_SIZE where several threads take batches in: a producer takes some for one turn of its
 * event loop, and gives back at its end what it did not use. While one of them waits for places, each may have
 * its part of the limit only, so that an import on one thread doesn't keep another's waiting. Producer's thread.
 *
 *   byte   0  bell     i32  rung by whoever gives places back while another one waits
 *         64  waits    i32  of each producer: 1 = it waits for places; it alone writes, main once it is dead
 */
import { BellWatch } from '../ring/bell.ts';
import type { Tallies } from '../threads/tallies.ts';

/** Places taken at a time, at the most. */
const LEASE = 1024;
const BELL = 0;
const WAITS = 16;

export interface BulkPlacesOptions {
  readonly tallies: Tallies;
  readonly tally: number;
  /** Made by `createWaits`. */
  readonly waits: SharedArrayBuffer;
  readonly producer: number;
}

/** What producers have of a limit, and who waits. */
function wordsFor(producers: number): number {
  return WAITS + producers;
}

export function waitsBytes(producers: number): number {
  return wordsFor(producers) * Int32Array.BYTES_PER_ELEMENT;
}

/** Main thread: a producer is dead and waits no more; what it had is free for the others. */
export function waitNoMore(waits: SharedArrayBuffer, producer: number): void {
  const words = new Int32Array(waits);
  Atomics.store(words, WAITS + producer, 0);
  ring(words);
}

function ring(words: Int32Array): void {
  Atomics.add(words, BELL, 1);
  Atomics.notify(words, BELL);
}

export class BulkPlaces {
  readonly #options: BulkPlacesOptions;
  readonly #words: Int32Array;
  readonly #bell: BellWatch;
  readonly #onTurnsEnd = () => this.giveBack();
  #leased = 0;
  #waits = false;

  /** `onFree` is called, on a turn of its own, after others gave places back while this one waited. */
  constructor(options: BulkPlacesOptions, onFree: () => void) {
    this.#options = options;
    this.#words = new Int32Array(options.waits);
    this.#bell = new BellWatch(this.#words, BELL, onFree);
  }

  /** What all producers have taken. */
  get taken(): number {
    const { tallies, tally } = this.#options;
    return tallies.total(tally);
  }

  /** Places that `use` may use in this turn, if all may have `limit` together; takes some if it has none. */
  lease(limit: number): number {
    if (this.#leased === 0) {
      const { tallies, tally } = this.#options;
      this.#leased = tallies.raise(tally, Math.min(LEASE, this.#mayTake(limit)), limit);
      if (this.#leased > 0) setImmediate(this.#onTurnsEnd);
    }
    return this.#leased;
  }

  /** Whether `lease` would give any. */
  hasSome(limit: number): boolean {
    return this.#leased > 0 || (this.#mayTake(limit) > 0 && this.taken < limit);
  }

  use(count: number): void {
    this.#leased -= count;
  }

  /** Gives back what was leased and not used. */
  giveBack(): void {
    const unused = this.#leased;
    this.#leased = 0;
    if (unused > 0) this.#give(unused);
  }

  /** What was used is settled. */
  settled(count: number): void {
    this.#give(count);
  }

  /** Says whether this producer waits for places. */
  set waits(waits: boolean) {
    if (waits === this.#waits) return;
    this.#waits = waits;
    Atomics.store(this.#words, WAITS + this.#options.producer, waits ? 1 : 0);
  }

  /** Where it waits: has `onFree` called when places come back; true, without that, if `hasSome` says so. */
  watch(hasSome: () => boolean): boolean {
    return this.#waits && this.#bell.watch(hasSome);
  }

  dispose(): void {
    this.#bell.release();
  }

  #give(count: number): void {
    const { tallies, tally, producer } = this.#options;
    tallies.lower(tally, count);
    // Pairs with a waiter's store of its word, before it looks whether there are some.
    for (let i = 0; i < tallies.threads; i++) {
      if (i === producer || Atomics.load(this.#words, WAITS + i) === 0) continue;
      ring(this.#words);
      return;
    }
  }

  /** How many more it may have: up to the limit, or to its part of it while another one waits. */
  #mayTake(limit: number): number {
    const { tallies, tally, producer } = this.#options;
    let sharers = 1;
    let isShared = false;
    for (let i = 0; i < tallies.threads; i++) {
      if (i === producer) continue;
      const waits = Atomics.load(this.#words, WAITS + i) === 1;
      if (waits) isShared = true;
      if (waits || tallies.own(tally, i) > 0) sharers++;
    }
    const most = isShared ? Math.max(1, Math.floor(limit / sharers)) : limit;
    return most - tallies.own(tally, producer);
  }
}
