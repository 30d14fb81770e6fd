/**
 * The last events that came under a key, so that a repetition is known: in shared memory, so that
 * it survives the log thread. The log thread writes; the checkpoint's thread reads the entries. (Over 300
 * lines: a third of it is the layout, and what a death leaves of it.)
 *
 *   byte   0  oldest   i32  position of the oldest entry
 *          4  gaps     i32  1 = entries were removed, or were left out by a checkpoint
 *         64  added    i32  position behind the newest entry
 *        128  rewound  i32  how often a successor took entries back
 *        192  entries  capacity × 24 bytes, the one at a position at `position & mask`:
 *                0  fingerprint  16 B  of the key (12) and of the content (4), as in the slot
 *               16  seq          f64
 *          …  index    2 × capacity × u32: an entry's place + 1; 0 = empty cell
 *
 * Positions count modulo 2^32. Empty: oldest = added. Full: added − oldest = capacity; then the
 * oldest entry makes room. Seqs rise with the positions. The capacity is a power of two that holds
 * DEDUPE_WINDOW entries and a frame's besides: 32 bytes for each of its entries in all, 32 MiB for
 * the default window of a million.
 *
 * The index (open addressing, linear probing, at most half full, deletion by backward shift) is
 * derived from the entries. It is hashed with the data folder's key: keys come from outside.
 *
 * A death of the log thread. Entries are added when a frame is numbered, so that it may hold a key
 * twice, and the frame may never be committed. Its successor numbers those events again, perhaps in
 * another order. So it first takes back every entry with a seq that is not committed (they are the
 * newest), and makes the index anew, whatever half-done change it finds there. Entries that had to
 * make room for those are gone; therefore there is room for a frame besides the window.
 * (Over 300 lines: one table, and its layout belongs beside the code that reads and writes it.)
 */
import assert from 'node:assert/strict';
import { nextPowerOfTwo } from '../ring/intake-ring.ts';
import { KEY_WORDS } from '../ring/slot.ts';
import { hashId } from '../store/id-hash.ts';
import type { HashKey } from '../threads/shared-memory.ts';

/** Entries that a successor takes back at the most: those of one frame. */
export const UNCOMMITTED_MAX = 8192;

export const DEDUPE_ENTRY_BYTES = 24;
export const DEDUPE_ENTRY_WORDS = DEDUPE_ENTRY_BYTES / 4;
const CONTENT = KEY_WORDS;
const SEQ = 4;

const LINE_WORDS = 16;
const OLDEST = 0;
const GAPS = 1;
const ADDED = LINE_WORDS;
const REWOUND = 2 * LINE_WORDS;
const ENTRIES_BYTE = 3 * LINE_WORDS * 4;
const CELLS_PER_ENTRY = 2;
const BYTES_PER_ENTRY = DEDUPE_ENTRY_BYTES + CELLS_PER_ENTRY * 4;

assert.equal(ENTRIES_BYTE, 192);
assert.equal((SEQ * 4) % 8, 0);

/** What `seqOf` says of a key that is not in the window. */
export const KEY_UNKNOWN = 0;
/** What `seqOf` says of a key that came with another content. */
export const KEY_CONFLICT = -1;

export class DedupeWindow {
  /** Entries that it holds at the most. */
  readonly capacity: number;
  readonly #key: HashKey;
  readonly #cursors: Int32Array;
  readonly #entries: Int32Array;
  readonly #seqs: Float64Array;
  readonly #index: Int32Array;
  readonly #mask: number;
  readonly #cellMask: number;
  /** One seq, as a double and as the two words that it is stored in. */
  readonly #seq = new Float64Array(1);
  readonly #seqWords = new Int32Array(this.#seq.buffer);

  /** Views a window made by `create`, in any thread. */
  constructor(buffer: SharedArrayBuffer, key: HashKey) {
    this.capacity = (buffer.byteLength - ENTRIES_BYTE) / BYTES_PER_ENTRY;
    assert.equal(this.capacity, nextPowerOfTwo(this.capacity), 'a window holds a power of two');
    const indexByte = ENTRIES_BYTE + this.capacity * DEDUPE_ENTRY_BYTES;
    const cells = this.capacity * CELLS_PER_ENTRY;
    this.#key = key;
    this.#cursors = new Int32Array(buffer, 0, ENTRIES_BYTE / 4);
    this.#entries = new Int32Array(buffer, ENTRIES_BYTE, this.capacity * DEDUPE_ENTRY_WORDS);
    this.#seqs = new Float64Array(buffer, ENTRIES_BYTE, (this.capacity * DEDUPE_ENTRY_BYTES) / 8);
    this.#index = new Int32Array(buffer, indexByte, cells);
    this.#mask = this.capacity - 1;
    this.#cellMask = cells - 1;
  }

  /** What `create` takes. */
  static bytes(events: number, uncommittedMax = UNCOMMITTED_MAX): number {
    return ENTRIES_BYTE + nextPowerOfTwo(events + uncommittedMax) * BYTES_PER_ENTRY;
  }

  /**
   * Makes an empty window for at least the last `events` keyed events, whatever may be taken back:
   * up to `uncommittedMax`. Positions start at `firstPosition` (an Int32); tests put it below the wrap.
   */
  static create(
    events: number,
    firstPosition = 0,
    uncommittedMax = UNCOMMITTED_MAX,
  ): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(DedupeWindow.bytes(events, uncommittedMax));
    const cursors = new Int32Array(buffer, 0, ENTRIES_BYTE / 4);
    cursors[OLDEST] = firstPosition;
    cursors[ADDED] = firstPosition;
    return buffer;
  }

  get size(): number {
    return (Atomics.load(this.#cursors, ADDED) - Atomics.load(this.#cursors, OLDEST)) | 0;
  }

  /** Seq of the newest entry; 0 = there is none. Log thread; for others, a guess. */
  get newestSeq(): number {
    if (this.size === 0) return 0;
    return this.#seqAt((this.#cursors[ADDED] - 1) & this.#mask);
  }

  /**
   * The seq from which on every keyed event is known; those before it may have been forgotten. Any
   * thread.
   */
  get knownFrom(): number {
    for (;;) {
      const oldest = Atomics.load(this.#cursors, OLDEST);
      if (Atomics.load(this.#cursors, GAPS) === 0) return 0;
      // Entries were removed, so there is one. Pairs with the removal in `add`, before it overwrites.
      const e = (oldest & this.#mask) * DEDUPE_ENTRY_WORDS;
      const words = [0, 1].map((i) => Atomics.load(this.#entries, e + SEQ + i));
      if (Atomics.load(this.#cursors, OLDEST) !== oldest) continue;
      return new Float64Array(Int32Array.from(words).buffer)[0];
    }
  }

  /**
   * The seq of the event with this fingerprint (four words of `words` from `at`), KEY_UNKNOWN, or
   * KEY_CONFLICT when the key is known with another content. Log thread.
   */
  seqOf(words: Int32Array, at: number): number {
    const place = this.#index[this.#cellOf(words, at)] - 1;
    if (place < 0) return KEY_UNKNOWN;
    const isSame = this.#entries[place * DEDUPE_ENTRY_WORDS + CONTENT] === words[at + CONTENT];
    return isSame ? this.#seqAt(place) : KEY_CONFLICT;
  }

  /**
   * The same, but only among the last `events` keyed ones, whatever else is still remembered: what every
   * instance that has the same events says. Log thread.
   */
  seqAmongLast(events: number, words: Int32Array, at: number): number {
    const place = this.#index[this.#cellOf(words, at)] - 1;
    if (place < 0) return KEY_UNKNOWN;
    const newer = (this.#cursors[ADDED] - 1 - place) & this.#mask;
    return newer < events ? this.seqOf(words, at) : KEY_UNKNOWN;
  }

  /**
   * Adds an event: its fingerprint, as above, and its seq, higher than any in the window. Takes the
   * place of an older one with the same key. Log thread.
   */
  add(words: Int32Array, at: number, seq: number): void {
    if (this.size === this.capacity) this.#removeOldest();
    const position = this.#cursors[ADDED];
    const place = position & this.#mask;
    const e = place * DEDUPE_ENTRY_WORDS;
    this.#seq[0] = seq;
    // Atomically for the sake of `entriesBefore`, which may be reading what stood here: it must not
    // see these words before it sees that the oldest entry was removed.
    for (let i = 0; i < SEQ; i++) Atomics.store(this.#entries, e + i, words[at + i]);
    Atomics.store(this.#entries, e + SEQ, this.#seqWords[0]);
    Atomics.store(this.#entries, e + SEQ + 1, this.#seqWords[1]);
    this.#index[this.#cellOf(words, at)] = place + 1;
    Atomics.store(this.#cursors, ADDED, (position + 1) | 0);
  }

  /**
   * Adds `count` ≥ 1 entries of a checkpoint, oldest first, as `entriesBefore` gave them; returns the
   * last one's seq. What came before them may have been forgotten by then. Log thread.
   */
  restore(entries: Int32Array, count: number): number {
    Atomics.store(this.#cursors, GAPS, 1);
    for (let e = 0; e < count * DEDUPE_ENTRY_WORDS; e += DEDUPE_ENTRY_WORDS) {
      this.#seqWords[0] = entries[e + SEQ];
      this.#seqWords[1] = entries[e + SEQ + 1];
      this.add(entries, e, this.#seq[0]);
    }
    return this.#seq[0];
  }

  /**
   * Goes on where a log thread died: takes back what it added for events that were not committed
   * (seq ≥ `nextSeq`), and makes the index anew. Log thread.
   */
  takeOver(nextSeq: number): void {
    const oldest = this.#cursors[OLDEST];
    let added = this.#cursors[ADDED];
    while (added !== oldest && this.#seqAt((added - 1) & this.#mask) >= nextSeq)
      added = (added - 1) | 0;
    // Before anything is overwritten: pairs with the loads in `entriesBefore`.
    Atomics.add(this.#cursors, REWOUND, 1);
    Atomics.store(this.#cursors, ADDED, added);
    this.#index.fill(0);
    for (let position = oldest; position !== added; position = (position + 1) | 0) {
      const place = position & this.#mask;
      this.#index[this.#cellOf(this.#entries, place * DEDUPE_ENTRY_WORDS)] = place + 1;
    }
  }

  /**
   * Copies the entries of events before `seq`, which must be committed, oldest first: fills `into`
   * from its start, yields how many entries are in it, and again when asked for more. What is
   * removed from the window meanwhile may be left out. Any thread.
   */
  *entriesBefore(seq: number, into: Int32Array): Generator<number, void, void> {
    const room = Math.floor(into.length / DEDUPE_ENTRY_WORDS);
    assert.ok(room > 0);
    let from = Atomics.load(this.#cursors, OLDEST);
    for (;;) {
      const rewound = Atomics.load(this.#cursors, REWOUND);
      const added = Atomics.load(this.#cursors, ADDED);
      from = laterOf(from, Atomics.load(this.#cursors, OLDEST));
      const most = Math.min(room, Math.max(0, (added - from) | 0));
      const count = this.#copyBefore(seq, from, most, into);
      // Pairs with the removal in `add`, before it overwrites an entry.
      const lost = Math.max(0, (Atomics.load(this.#cursors, OLDEST) - from) | 0);
      if (Atomics.load(this.#cursors, REWOUND) !== rewound) continue;
      into.copyWithin(0, lost * DEDUPE_ENTRY_WORDS, count * DEDUPE_ENTRY_WORDS);
      if (count > lost) yield count - lost;
      // The entry that ended the copy counts only if it was not overwritten just then.
      if (count < room && count >= lost) return;
      from = (from + count) | 0;
    }
  }

  /** Copies up to `most` entries until one is not before `seq`; returns how many were. */
  #copyBefore(seq: number, from: number, most: number, into: Int32Array): number {
    const seqOfCopy = new Float64Array(1);
    const seqWords = new Int32Array(seqOfCopy.buffer);
    for (let n = 0; n < most; n++) {
      const e = ((from + n) & this.#mask) * DEDUPE_ENTRY_WORDS;
      const to = n * DEDUPE_ENTRY_WORDS;
      for (let i = 0; i < DEDUPE_ENTRY_WORDS; i++)
        into[to + i] = Atomics.load(this.#entries, e + i);
      seqWords[0] = into[to + SEQ];
      seqWords[1] = into[to + SEQ + 1];
      if (seqOfCopy[0] >= seq) return n;
    }
    return most;
  }

  #removeOldest(): void {
    const position = this.#cursors[OLDEST];
    const place = position & this.#mask;
    let cell = this.#homeOf(this.#entries, place * DEDUPE_ENTRY_WORDS);
    // A newer entry with the same key has taken over its cell, if none is found.
    while (this.#index[cell] !== place + 1 && this.#index[cell] !== 0)
      cell = (cell + 1) & this.#cellMask;
    if (this.#index[cell] !== 0) this.#empty(cell);
    Atomics.store(this.#cursors, GAPS, 1);
    Atomics.store(this.#cursors, OLDEST, (position + 1) | 0);
  }

  /** Empties a cell and closes the gap (Knuth, TAOCP 3, 6.4, algorithm R). */
  #empty(cell: number): void {
    const index = this.#index;
    let hole = cell;
    for (let c = (cell + 1) & this.#cellMask; index[c] !== 0; c = (c + 1) & this.#cellMask) {
      const place = index[c] - 1;
      const home = this.#homeOf(this.#entries, place * DEDUPE_ENTRY_WORDS);
      if (((c - home) & this.#cellMask) < ((c - hole) & this.#cellMask)) continue;
      index[hole] = index[c];
      hole = c;
    }
    index[hole] = 0;
  }

  /** The cell of the entry with the key at `at`, or the empty one where it would go. */
  #cellOf(words: Int32Array, at: number): number {
    const entries = this.#entries;
    let cell = this.#homeOf(words, at);
    for (;;) {
      const place = this.#index[cell] - 1;
      if (place < 0) return cell;
      const e = place * DEDUPE_ENTRY_WORDS;
      if (
        entries[e] === words[at] &&
        entries[e + 1] === words[at + 1] &&
        entries[e + 2] === words[at + 2]
      ) {
        return cell;
      }
      cell = (cell + 1) & this.#cellMask;
    }
  }

  #homeOf(words: Int32Array, at: number): number {
    return hashId(this.#key, words, at, KEY_WORDS * 4) & this.#cellMask;
  }

  #seqAt(place: number): number {
    return this.#seqs[(place * DEDUPE_ENTRY_WORDS + SEQ) >> 1];
  }
}

function laterOf(a: number, b: number): number {
  return ((b - a) | 0) > 0 ? b : a;
}
