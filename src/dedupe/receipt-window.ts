/**
 * The newest receipt of each of the last batches that came under a key (batch-receipt.ts), in shared
 * memory. The log thread writes, once a receipt is committed and before the main thread is notified of
 * it; the main thread looks a key up before it accepts a batch; the checkpoint's thread copies them.
 *
 *   places: byte  0  version  i32  odd while the log thread is writing
 *                64  receipts capacity × 128 B, as in their slots; all zeros = none
 *   index:  a dedupe window of the same capacity: key → the receipt's number, counted from 1, which
 *           is at place `number & mask`
 *
 * A key's newer receipt goes where the older one was; a new key takes the place of the key that came
 * first. So it never forgets one of the last `capacity` keys, and its size is known at start.
 *
 * A death of the log thread while it writes: the version stays odd and readers wait, until the
 * successor has made the index anew and has put the same receipt again: it is among the committed
 * and unsettled ones, which it all repeats.
 */
import assert from 'node:assert/strict';
import { nextPowerOfTwo } from '../ring/intake-ring.ts';
import { KEY_WORDS, SLOT_BYTES, SLOT_FINGERPRINT, SLOT_WORDS, SlotViews } from '../ring/slot.ts';
import type { HashKey, ReceiptMemory } from '../threads/shared-memory.ts';
import { type BatchReceipt, isReceipt, receiptIn } from './batch-receipt.ts';
import { DedupeWindow, KEY_UNKNOWN } from './dedupe-window.ts';

const VERSION = 0;
const PLACES_BYTE = 64;
const READ_TRIES = 1000;

/** Batches that are remembered, whatever DEDUPE_WINDOW is. */
const BATCHES_MIN = 1024;
const BATCHES_MAX = 65_536;

export class ReceiptWindow {
  readonly capacity: number;
  readonly #version: Int32Array;
  readonly #places: SlotViews;
  readonly #index: DedupeWindow;
  readonly #mask: number;
  /** A key as the index has it: without a content. */
  readonly #key = new Int32Array(KEY_WORDS + 1);
  readonly #copy = new SlotViews(new ArrayBuffer(SLOT_BYTES), 0, 1);

  /** Views a window made by `create`, in any thread. */
  constructor({ places, index }: ReceiptMemory, key: HashKey) {
    this.#version = new Int32Array(places, 0, 1);
    this.#index = new DedupeWindow(index, key);
    this.capacity = this.#index.capacity;
    this.#mask = this.capacity - 1;
    assert.equal(places.byteLength, PLACES_BYTE + this.capacity * SLOT_BYTES);
    this.#places = new SlotViews(places, PLACES_BYTE, this.capacity);
  }

  /** Makes an empty one for as many batches as there are keyed events, within its bounds. */
  static create(dedupeEvents: number): ReceiptMemory {
    return ReceiptWindow.createFor(batchesFor(dedupeEvents));
  }

  /** What `create` allocates. */
  static bytes(dedupeEvents: number): number {
    const capacity = nextPowerOfTwo(batchesFor(dedupeEvents));
    return PLACES_BYTE + capacity * SLOT_BYTES + DedupeWindow.bytes(capacity, 0);
  }

  /** Makes an empty one for the last `batches`. */
  static createFor(batches: number): ReceiptMemory {
    const capacity = nextPowerOfTwo(batches);
    return {
      places: new SharedArrayBuffer(PLACES_BYTE + capacity * SLOT_BYTES),
      index: DedupeWindow.create(capacity, 0, 0),
    };
  }

  /** Puts the committed receipt in the slot; harmless to repeat. Log thread. */
  put(slots: SlotViews, index: number): void {
    const isNested = (Atomics.load(this.#version, VERSION) & 1) === 1;
    if (!isNested) Atomics.add(this.#version, VERSION, 1);
    const from = index * SLOT_WORDS;
    const to = (this.#numberOf(slots.words, from + SLOT_FINGERPRINT) & this.#mask) * SLOT_WORDS;
    // Pairs with the read-modify-write of the version that ends a copy in `#read`.
    for (let i = 0; i < SLOT_WORDS; i++) this.#places.words[to + i] = slots.words[from + i];
    if (!isNested) Atomics.add(this.#version, VERSION, 1);
  }

  /**
   * Goes on where a log thread died, perhaps in `put`: `repeat` puts what was committed and is not
   * settled; until it returns, readers wait. Log thread.
   */
  takeOver(repeat: () => void): void {
    if ((Atomics.load(this.#version, VERSION) & 1) === 0) Atomics.add(this.#version, VERSION, 1);
    this.#index.takeOver(Number.POSITIVE_INFINITY);
    repeat();
    Atomics.add(this.#version, VERSION, 1);
  }

  /**
   * The newest receipt under the request's key (three Int32s). `busy`: the log thread is writing, or
   * died while it was; ask again on a later turn. Main thread.
   */
  find(key: Int32Array): BatchReceipt | undefined | 'busy' {
    for (let i = 0; i < KEY_WORDS; i++) this.#key[i] = key[i];
    let number = KEY_UNKNOWN;
    const isWhole = this.#read(() => {
      number = this.#index.seqOf(this.#key, 0);
      return number & this.#mask;
    });
    if (!isWhole) return 'busy';
    return number === KEY_UNKNOWN ? undefined : receiptIn(this.#copy, 0);
  }

  /**
   * Copies all receipts, those of the oldest keys first, each with its index 0 in the slots yielded,
   * which are used again. Those that are put meanwhile may be there or not. Any thread.
   */
  *all(): Generator<SlotViews, void, void> {
    const first = this.#index.newestSeq + 1;
    for (let i = 0; i < this.capacity; i++) {
      const place = (first + i) & this.#mask;
      while (!this.#read(() => place)) this.#pause();
      if (isReceipt(this.#copy.words, 0)) yield this.#copy;
    }
  }

  /** The number of the key's receipt; a new one where it has none. */
  #numberOf(words: Int32Array, at: number): number {
    for (let i = 0; i < KEY_WORDS; i++) this.#key[i] = words[at + i];
    const known = this.#index.seqOf(this.#key, 0);
    if (known !== KEY_UNKNOWN) return known;
    const number = this.#index.newestSeq + 1;
    this.#index.add(this.#key, 0, number);
    return number;
  }

  /** Waits for a successor of a log thread that died while it was writing. */
  #pause(): void {
    Atomics.wait(this.#version, VERSION, Atomics.load(this.#version, VERSION), 1);
  }

  /** Copies the place that `find` returns; false when no copy could be made in one state. */
  #read(find: () => number): boolean {
    for (let tries = 0; tries < READ_TRIES; tries++) {
      const before = Atomics.load(this.#version, VERSION);
      if (before & 1) continue;
      const from = find() * SLOT_WORDS;
      for (let i = 0; i < SLOT_WORDS; i++) {
        this.#copy.words[i] = this.#places.words[from + i];
      }
      // A read-modify-write, which no load before it may pass (the loads above are plain ones).
      if (Atomics.add(this.#version, VERSION, 0) === before) return true;
    }
    return false;
  }
}

function batchesFor(dedupeEvents: number): number {
  return Math.min(Math.max(dedupeEvents, BATCHES_MIN), BATCHES_MAX);
}
