/**
 * What the threads behind the main thread count, in shared memory: one block for the log thread, one for
 * each applier. A block has one writer, its thread; main reads all of them at a scrape.
 *
 *   log thread  block 0, 512 bytes            applier i  block 1 + i, 512 bytes; i64 words
 *   word  0  waited         ns, in waits that have ended
 *         1  waiting since  ns, of the clock that all threads share; 0 = it works
 *         2  thread id      of the thread that has the block now; 0 = none yet
 *         3 …               counts: LOG_… and APPLIER_… below
 *        16 … 33            log thread: how long flushes took, ns; 17 counts and the sum
 *        40 … 55            log thread: events in frames; 15 counts and the sum
 *
 * 64-bit words through Atomics, so that no number is read torn or wraps; an addition takes some 20 ns,
 * so a thread counts once for many events. A successor counts on in the block. What a thread has done
 * and not yet counted when it dies is never counted: a frame, or up to 32 applied events.
 */
import assert from 'node:assert/strict';
import { threadId } from 'node:worker_threads';
import { assertBounds, type HistogramReading } from './histogram.ts';

const BLOCK_WORDS = 64;
const WAITED = 0;
const WAITING_SINCE = 1;
const THREAD_ID = 2;
const COUNTS = 3;
const FLUSH_NS = 16;
const FRAME_EVENTS = 40;

/** What the log thread counts. */
export const LOG_COUNTS = Object.freeze([
  /** Single events that got a number; the same of batches. */
  'singleAccepted',
  'batchAccepted',
  /** Events that were known already, under the same key. */
  'singleDuplicates',
  'batchDuplicates',
  /** Events of batches whose key stands for another event; those of single ones HTTP counts. */
  'batchConflicts',
  /** Bytes of frames that were written and flushed. */
  'writtenBytes',
  /** Segments made. */
  'segments',
  /** Writes and flushes that failed, tries of the same frame included. */
  'failures',
] as const);
export type LogCount = (typeof LOG_COUNTS)[number];

/** How many outcomes an applier tells apart: those of outcome/outcome-window.ts, by number. */
export const OUTCOMES_COUNTED = 6;
/** Behind them: products forgotten, places freed. */
const FORGOTTEN = COUNTS + OUTCOMES_COUNTED;
const FREED = FORGOTTEN + 1;

const US = 1e3;
const MS = 1e6;
/** Finest where disks with a cache of their own are. */
const FLUSH_BOUNDS_NS: readonly number[] = Object.freeze([
  ...[50, 100, 150, 250, 500].map((us) => us * US),
  ...[1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000].map((ms) => ms * MS),
]);
/** As far as one frame goes (FRAME_SLOTS_MAX). */
const FRAME_BOUNDS: readonly number[] = Object.freeze(Array.from({ length: 14 }, (_, i) => 2 ** i));

assert.ok(COUNTS + LOG_COUNTS.length <= FLUSH_NS && FREED < FLUSH_NS);
assert.ok(FLUSH_NS + FLUSH_BOUNDS_NS.length + 2 <= FRAME_EVENTS);
assert.ok(FRAME_EVENTS + FRAME_BOUNDS.length + 2 <= BLOCK_WORDS);

/** The memory for all threads of a write path. */
export function createThreadCounters(appliers: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threadCountersBytes(appliers));
}

export function threadCountersBytes(appliers: number): number {
  return (1 + appliers) * BLOCK_WORDS * 8;
}

/** Words of a block as a histogram of whole numbers. */
class SharedHistogram implements HistogramReading {
  readonly bounds: readonly number[];
  readonly #words: BigInt64Array;
  readonly #at: number;

  constructor(words: BigInt64Array, at: number, bounds: readonly number[]) {
    assertBounds(bounds);
    this.#words = words;
    this.#at = at;
    this.bounds = bounds;
  }

  /** The block's thread. */
  observe(value: number): void {
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > bounds[i]) i++;
    Atomics.add(this.#words, this.#at + i, 1n);
    Atomics.add(this.#words, this.#at + bounds.length + 1, BigInt(Math.round(value)));
  }

  /** A copy. */
  get counts(): number[] {
    const { length } = this.bounds;
    return Array.from({ length: length + 1 }, (_, i) => load(this.#words, this.#at + i));
  }

  get sum(): number {
    return load(this.#words, this.#at + this.bounds.length + 1);
  }
}

/** What every thread counts. */
abstract class ThreadCounters {
  protected readonly words: BigInt64Array;
  #waitedSeen = 0n;

  protected constructor(buffer: SharedArrayBuffer, block: number) {
    this.words = new BigInt64Array(buffer, block * BLOCK_WORDS * 8, BLOCK_WORDS);
  }

  /** The block is this thread's from now on; a predecessor may have died while it waited. */
  takeOver(): void {
    Atomics.store(this.words, THREAD_ID, BigInt(threadId));
    Atomics.store(this.words, WAITING_SINCE, 0n);
  }

  /** The block's thread: it is about to wait for its bell. */
  beginWait(): void {
    Atomics.store(this.words, WAITING_SINCE, process.hrtime.bigint());
  }

  /** The block's thread: it works again. */
  endWait(): void {
    const since = Atomics.load(this.words, WAITING_SINCE);
    // In this order: between the two a wait is missing for an instant, and never there twice.
    Atomics.store(this.words, WAITING_SINCE, 0n);
    Atomics.add(this.words, WAITED, process.hrtime.bigint() - since);
  }

  /**
   * Seconds that it has waited for something to do, a wait under way included; what is left of the clock
   * it was busy. Never less than the time before, when this view was asked.
   */
  get waitedSeconds(): number {
    // Pairs with endWait: as long as `since` stands, `waited` lacks the wait under way.
    const since = Atomics.load(this.words, WAITING_SINCE);
    let waited = Atomics.load(this.words, WAITED);
    if (since !== 0n && Atomics.load(this.words, WAITING_SINCE) === since) {
      waited += process.hrtime.bigint() - since;
    }
    if (waited > this.#waitedSeen) this.#waitedSeen = waited;
    return Number(this.#waitedSeen) / 1e9;
  }

  /** Of the thread that has the block, as `Worker.threadId`; 0 = none yet. */
  get threadId(): number {
    return load(this.words, THREAD_ID);
  }
}

/** The log thread's block. */
export class LogCounters extends ThreadCounters {
  /** How long a frame took to be written and flushed. */
  readonly flushNs: SharedHistogram;
  /** Events, and receipts of batches, in a frame. */
  readonly frameEvents: SharedHistogram;

  constructor(buffer: SharedArrayBuffer) {
    super(buffer, 0);
    this.flushNs = new SharedHistogram(this.words, FLUSH_NS, FLUSH_BOUNDS_NS);
    this.frameEvents = new SharedHistogram(this.words, FRAME_EVENTS, FRAME_BOUNDS);
  }

  /** Log thread. */
  add(count: LogCount, times: number): void {
    if (times > 0) Atomics.add(this.words, COUNTS + LOG_COUNTS.indexOf(count), BigInt(times));
  }

  of(count: LogCount): number {
    return load(this.words, COUNTS + LOG_COUNTS.indexOf(count));
  }
}

/** An applier's block. */
export class ApplierCounters extends ThreadCounters {
  constructor(buffer: SharedArrayBuffer, applier: number) {
    super(buffer, 1 + applier);
  }

  /** The applier: `counts[outcome]` events ended so since the last time; sets them to 0. */
  addOutcomes(counts: Int32Array): void {
    for (let outcome = 0; outcome < OUTCOMES_COUNTED; outcome++) {
      if (counts[outcome] === 0) continue;
      Atomics.add(this.words, COUNTS + outcome, BigInt(counts[outcome]));
      counts[outcome] = 0;
    }
  }

  /** The applier: so many products were forgotten, so many places freed. */
  addForgotten(products: number): void {
    Atomics.add(this.words, FORGOTTEN, BigInt(products));
  }

  addFreed(places: number): void {
    Atomics.add(this.words, FREED, BigInt(places));
  }

  get forgotten(): number {
    return load(this.words, FORGOTTEN);
  }

  get freed(): number {
    return load(this.words, FREED);
  }

  /** Events that ended so, those replayed at the start included. */
  outcomes(outcome: number): number {
    return load(this.words, COUNTS + outcome);
  }
}

function load(words: BigInt64Array, at: number): number {
  return Number(Atomics.load(words, at));
}
