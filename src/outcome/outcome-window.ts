/**
 * What became of the last events, a byte each, in shared memory. The applier that owns an event's
 * product writes its byte before it publishes the cursor behind the event; so the byte of an event
 * under the applied watermark is final. Read on the main thread and by the checkpoint.
 *
 *   byte  seq & mask  u8  0 = not known · 1 applied · 2 stale · 3 refused · 4 dead
 *                         5 no event, but a batch's receipt
 *
 * The buffer is a power of two ≥ OUTCOME_WINDOW + the commit ring's slots; a byte is overwritten by
 * the event one buffer length later, at the earliest when that is committed. The ring's slots are
 * for the applier that lags: another one may be a whole ring ahead of it, and what the one writes
 * late must not fall on what the other wrote.
 */
import assert from 'node:assert/strict';
import { nextPowerOfTwo } from '../ring/intake-ring.ts';
import type { LogProgress } from '../ring/progress.ts';

export const OUTCOME_UNKNOWN = 0;
export const OUTCOME_APPLIED = 1;
export const OUTCOME_STALE = 2;
export const OUTCOME_REFUSED = 3;
export const OUTCOME_DEAD = 4;
export const OUTCOME_RECEIPT = 5;

/**
 * - `durable`: on disk, not yet applied.
 * - `applied`: at least one of its fields was taken.
 * - `stale`: older (in event time) than what stood; recorded, changed nothing.
 * - `refused`: its condition did not hold; recorded, changed nothing.
 * - `dead`: it killed its applier twice, and is skipped.
 * - `receipt`: no event; the log's own note of how far a batch came.
 * - `unknown`: no event has this seq yet.
 * - `expired`: older than the window, or than what is known since the start.
 */
export type EventOutcome =
  | 'durable'
  | 'applied'
  | 'stale'
  | 'refused'
  | 'dead'
  | 'receipt'
  | 'unknown'
  | 'expired';

const NAMES = ['expired', 'applied', 'stale', 'refused', 'dead', 'receipt'] as const;

assert.equal(NAMES[OUTCOME_DEAD], 'dead');
assert.equal(NAMES[OUTCOME_RECEIPT], 'receipt');

export class OutcomeWindow {
  readonly #bytes: Uint8Array;
  readonly #mask: number;

  /** Views a window made by `create`, in any thread. */
  constructor(buffer: SharedArrayBuffer) {
    this.#bytes = new Uint8Array(buffer);
    this.#mask = buffer.byteLength - 1;
  }

  /** What `create` takes. */
  static bytes(events: number, spread: number): number {
    return nextPowerOfTwo(events + spread);
  }

  /** Memory for at least the last `events` events, written by appliers up to `spread` events apart. */
  static create(events: number, spread = 0): SharedArrayBuffer {
    return new SharedArrayBuffer(OutcomeWindow.bytes(events, spread));
  }

  /** Events that it keeps apart: at least OUTCOME_WINDOW. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** The byte of the event with this seq; or of one a whole capacity earlier or later. */
  load(seq: number): number {
    return Atomics.load(this.#bytes, seq & this.#mask);
  }

  /** The owning applier, before it publishes its cursor, which orders it; at start, the recovery. */
  store(seq: number, outcome: number): void {
    this.#bytes[seq & this.#mask] = outcome;
  }
}

export interface OutcomeReaderOptions {
  readonly window: OutcomeWindow;
  /** OUTCOME_WINDOW: how many of the last events have an outcome to read. */
  readonly events: number;
  readonly progress: LogProgress;
  /** All events up to its seq are applied. */
  readonly watermark: { readonly seq: number };
}

/** Reads what became of an event. Main thread. */
export class OutcomeReader {
  readonly #options: OutcomeReaderOptions;

  constructor(options: OutcomeReaderOptions) {
    this.#options = options;
  }

  outcomeOf(seq: number): EventOutcome {
    const { progress, watermark } = this.#options;
    if (seq >= progress.loadNextSeq()) return 'unknown';
    return seq > watermark.seq ? 'durable' : this.outcomeOfApplied(seq);
  }

  /** The same of an event that is known to be under the applied watermark. */
  outcomeOfApplied(seq: number): EventOutcome {
    const { window, events, progress } = this.#options;
    const outcome = window.load(seq);
    // Read after the byte: an event that overwrites it was committed before it was applied.
    const nextSeq = progress.loadNextSeq();
    return seq + events < nextSeq ? 'expired' : (NAMES[outcome] ?? 'expired');
  }
}
