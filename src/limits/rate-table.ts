/**
 * How much each client has used of one limit, in shared memory of a fixed size. Any thread may ask and
 * charge, several at once.
 *
 * Of each client one time is kept, the *paid time*: when all that it has used so far will have been
 * earned again at the rate of its limit (the generic cell rate algorithm of ATM networks, ITU-T I.371:
 * a bucket of tokens in one number). Up to one window ahead of now is free to use; what is taken
 * beyond, as a batch whose length nobody knew may be, is owed.
 *
 *   now            paid time                          now + window
 *    ├── used ─────────┼──────────── free ─────────────────┤
 *
 * The table has SETS sets of WAYS places. A client's hash says its set; in there it is found by its tag.
 *
 *   byte 0                                   SETS × WAYS × 8                        + SETS × WAYS × 4
 *   ├─ paid times, BigInt64, ns of hrtime ────────┼─ tags, Int32: FREE, MOVING or the client's ─┤
 *
 * In a full set the one with the earliest paid time goes: mostly one that owes nothing, and has lost
 * nothing. A flood of new clients, each with little used, so pushes out one another and not those who are
 * over their limit.
 *
 * Interleavings of threads A and B. Each word is written by compare-and-exchange, but for those of a
 * place that its thread has marked as MOVING, which are that thread's alone.
 *
 *   1. Both charge the same client: one exchange fails and is done anew from what the other left. No
 *      charge is lost.
 *   2. B gives a place to another client while A charges its old one. B marks the tag as MOVING, stores
 *      the present as the paid time, then stores the new tag. If A's exchange comes before B's store of
 *      the time, the charge goes with its client; if after, it fails, because the time is another (to
 *      the nanosecond), and A finds its client gone and begins anew.
 *   3. Both find the same client missing and take a place each: it stands there twice. Whoever asks
 *      takes the first; what was charged to the other, one charge, is not seen. That one is soon the
 *      earliest of its set and goes.
 *   4. A thread dies while its place is MOVING: the place is lost until the end of the process, one in
 *      65,536. Dying anywhere else leaves nothing half done.
 */
import assert from 'node:assert/strict';
import type { Rate } from '../config/rate.ts';
import type { ClientKey } from './client-key.ts';

const SETS = 8192;
const WAYS = 8;
const PLACES = SETS * WAYS;
const TAGS_BYTE = PLACES * BigInt64Array.BYTES_PER_ELEMENT;
export const RATE_TABLE_BYTES = TAGS_BYTE + PLACES * Int32Array.BYTES_PER_ELEMENT;
assert.equal(SETS & (SETS - 1), 0);

/** Of a place that nobody has. */
const FREE = 0;
/** Of a place that is being given to another client. */
const MOVING = 1;

const NS_PER_SECOND = 1e9;

/**
 * The clock that all threads share: monotonic, in nanoseconds. `performance.now` counts from the start of
 * each thread, and costs a third of `hrtime.bigint`.
 */
function sharedClock(): () => number {
  const startNs = Number(process.hrtime.bigint()) - performance.now() * 1e6;
  return () => startNs + performance.now() * 1e6;
}

export class RateTable {
  readonly rate: Rate;
  /** After each call, of the client that it was about: how many it may use now. */
  remaining = 0;
  /** And seconds, rounded up, until it may use one, and until it may use the whole quota. */
  secondsToOne = 0;
  secondsToAll = 0;
  readonly #paidNs: BigInt64Array;
  readonly #tags: Int32Array;
  readonly #windowNs: number;
  readonly #eachNs: number;
  readonly #now: () => number;

  /** `memory` has RATE_TABLE_BYTES zeros at first; `now` is for tests, in nanoseconds. */
  constructor(rate: Rate, memory: SharedArrayBuffer, now: () => number = sharedClock()) {
    assert.equal(memory.byteLength, RATE_TABLE_BYTES);
    this.rate = rate;
    this.#windowNs = rate.windowSeconds * NS_PER_SECOND;
    this.#eachNs = this.#windowNs / rate.quota;
    this.#paidNs = new BigInt64Array(memory, 0, PLACES);
    this.#tags = new Int32Array(memory, TAGS_BYTE, PLACES);
    this.#now = now;
  }

  /** Uses one, if the client may; returns whether it might. What is refused costs nothing. */
  take(key: ClientKey): boolean {
    return this.#use(key, 1, true);
  }

  /** Uses `count`, whether it may or not: it has happened. Returns whether nothing is owed then. */
  charge(key: ClientKey, count: number): boolean {
    this.#use(key, count, false);
    return this.remaining > 0;
  }

  /** Whether the client may use one; nothing is used. */
  has(key: ClientKey): boolean {
    const nowNs = this.#now();
    const place = this.#find(key);
    const paidNs = place < 0 ? nowNs : Number(Atomics.load(this.#paidNs, place));
    this.#note(Math.max(paidNs, nowNs) - nowNs);
    return this.remaining > 0;
  }

  #use(key: ClientKey, count: number, isAsked: boolean): boolean {
    const nowNs = this.#now();
    const tag = tagOf(key);
    for (;;) {
      let place = this.#find(key);
      if (place < 0) place = this.#move(key, nowNs);
      if (place < 0) continue;
      const before = Atomics.load(this.#paidNs, place);
      // Behind the load of the time: the pair of stores in #move comes in the other order.
      if (Atomics.load(this.#tags, place) !== tag) continue;
      const usedNs = Math.max(Number(before) - nowNs, 0);
      const afterNs = usedNs + count * this.#eachNs;
      if (isAsked && afterNs > this.#windowNs + this.#eachNs / 1000) {
        this.#note(usedNs);
        return false;
      }
      const after = BigInt(Math.round(nowNs + afterNs));
      if (Atomics.compareExchange(this.#paidNs, place, before, after) !== before) continue;
      this.#note(afterNs);
      return true;
    }
  }

  /** The client's place, −1 = it has none. */
  #find(key: ClientKey): number {
    const first = firstOf(key);
    const tag = tagOf(key);
    for (let place = first; place < first + WAYS; place++) {
      if (Atomics.load(this.#tags, place) === tag) return place;
    }
    return -1;
  }

  /** Gives the client the place in its set that is worth the least; −1 = another thread was faster. */
  #move(key: ClientKey, nowNs: number): number {
    const first = firstOf(key);
    let chosen = -1;
    let chosenTag = MOVING;
    let earliest = 0n;
    for (let place = first; place < first + WAYS; place++) {
      const tag = Atomics.load(this.#tags, place);
      if (tag === MOVING) continue;
      const paid = tag === FREE ? 0n : Atomics.load(this.#paidNs, place);
      if (chosen < 0 || paid < earliest) {
        chosen = place;
        chosenTag = tag;
        earliest = paid;
      }
    }
    assert.ok(chosen >= 0, 'a set has a place that no dead thread was moving');
    if (Atomics.compareExchange(this.#tags, chosen, chosenTag, MOVING) !== chosenTag) return -1;
    Atomics.store(this.#paidNs, chosen, BigInt(Math.round(nowNs)));
    Atomics.store(this.#tags, chosen, tagOf(key));
    return chosen;
  }

  #note(usedNs: number): void {
    const freeNs = this.#windowNs - usedNs;
    // A thousandth is what rounding to whole nanoseconds may have taken.
    this.remaining = Math.max(0, Math.floor(freeNs / this.#eachNs + 0.001));
    this.secondsToOne = Math.max(0, Math.ceil((this.#eachNs - freeNs) / NS_PER_SECOND - 1e-6));
    this.secondsToAll = Math.ceil(usedNs / NS_PER_SECOND);
  }
}

/** The first place of the client's set. */
function firstOf({ hash }: ClientKey): number {
  return (hash & (SETS - 1)) * WAYS;
}

/** The client's tag as it stands in the table, never FREE or MOVING. */
function tagOf({ tag }: ClientKey): number {
  return tag === FREE || tag === MOVING ? 2 : tag;
}
