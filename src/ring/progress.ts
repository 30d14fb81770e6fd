/**
 * The log thread's progress in shared memory: what its successor needs if it dies, and from which
 * every other thread knows the seq at a cursor of the commit ring. Two records, and a count
 * that says which one holds; so everything in a record changes in one step. The log thread writes.
 *
 *   byte   0  stored  i32  how often a record was stored; 0 = none yet. Odd: record 1 holds, even: 2
 *         64  record 1, then record 2, 192 bytes each and a line for every four further producers. In
 *             doubles: 0 next seq · 1 commit ring head · 2 live ring tail · 3 bulk ring tail
 *             4–23 what the log itself needs to go on; only it knows what stands there
 *             24 … of each further producer: live ring tail · bulk ring tail
 */
import assert from 'node:assert/strict';

const RECORD_DOUBLES = 24;
const OWN_AT = 4;
/** How many numbers a log may keep of its own. */
export const OWN_DOUBLES = RECORD_DOUBLES - OWN_AT;
const LINE_DOUBLES = 8;
const RECORDS_BYTE = 64;
/** Where there is one producer. */
export const PROGRESS_BYTES = progressBytes(0);
const STORED = 0;

assert.equal(RECORD_DOUBLES % LINE_DOUBLES, 0);

/** What a record takes where `further` producers have rings beside the main thread. */
export function progressBytes(further: number): number {
  const lines = Math.ceil((2 * further) / LINE_DOUBLES);
  return RECORDS_BYTE + 2 * (RECORD_DOUBLES + lines * LINE_DOUBLES) * 8;
}

export interface Progress {
  readonly nextSeq: number;
  readonly commitHead: number;
  readonly liveTail: number;
  readonly bulkTail: number;
  /** Of each further producer the live and the bulk ring's; may be read with zeros behind them. */
  readonly furtherTails?: Float64Array;
  /** The log's own, OWN_DOUBLES numbers. */
  readonly own: Float64Array;
}

export class LogProgress {
  readonly #stored: Int32Array;
  readonly #records: readonly Float64Array[];
  /** The same records, as readers see them. */
  readonly #words: readonly Int32Array[];
  /** What was read last. */
  readonly #read: Float64Array;
  readonly #readWords: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    const doubles = (buffer.byteLength - RECORDS_BYTE) / 8 / 2;
    this.#read = new Float64Array(doubles);
    this.#readWords = new Int32Array(this.#read.buffer);
    this.#stored = new Int32Array(buffer, 0, 1);
    this.#records = [0, 1].map(
      (i) => new Float64Array(buffer, RECORDS_BYTE + i * doubles * 8, doubles),
    );
    this.#words = this.#records.map((r) => new Int32Array(buffer, r.byteOffset, r.length * 2));
  }

  /** The one step in which a frame becomes committed: before it none of it counts, after it all. */
  store(progress: Progress): void {
    const next = nextCount(Atomics.load(this.#stored, STORED));
    const record = this.#records[indexOf(next)];
    record[0] = progress.nextSeq;
    record[1] = progress.commitHead;
    record[2] = progress.liveTail;
    record[3] = progress.bulkTail;
    record.set(progress.own, OWN_AT);
    if (progress.furtherTails !== undefined) record.set(progress.furtherTails, RECORD_DOUBLES);
    // Pairs with the two loads in load(), before and after it reads the record.
    Atomics.store(this.#stored, STORED, next);
  }

  /** The last record stored, or `undefined` when the log was never opened. Any thread. */
  load(): Progress | undefined {
    return this.#load(this.#read.length) ? unpack(this.#read) : undefined;
  }

  /** The next seq alone, cheaper; 1 when the log was never opened. Any thread. */
  loadNextSeq(): number {
    return this.#load(1) ? this.#read[0] : 1;
  }

  /** Where the log stands in the commit ring, cheaper than all of it. Any thread. */
  loadPlace(): Place | undefined {
    if (!this.#load(2)) return undefined;
    return { nextSeq: this.#read[0], commitHead: this.#read[1] };
  }

  /** Reads the first `doubles` of the record that holds; false when there is none yet. */
  #load(doubles: number): boolean {
    for (;;) {
      const stored = Atomics.load(this.#stored, STORED);
      if (stored === 0) return false;
      const words = this.#words[indexOf(stored)];
      // Atomics, so that no load moves behind the one that says whether all of them count.
      for (let i = 0; i < doubles * 2; i++) this.#readWords[i] = Atomics.load(words, i);
      // A record is overwritten by the next store but one: then at least one came in between.
      if (Atomics.load(this.#stored, STORED) === stored) return true;
    }
  }
}

/** Which record holds after so many stores. */
function indexOf(stored: number): number {
  return (stored & 1) ^ 1;
}

/** Which seq comes next, and at which cursor of the commit ring it will stand. */
export type Place = Pick<Progress, 'nextSeq' | 'commitHead'>;

/** The seq of the slot at `cursor` of the commit ring (or of the one that will stand there). */
export function seqAtCursor({ nextSeq, commitHead }: Place, cursor: number): number {
  return nextSeq + ((cursor - commitHead) | 0);
}

/** Counts on, past 0 when the Int32 wraps, and changes its last bit every time. */
function nextCount(stored: number): number {
  const next = (stored + 1) | 0;
  return next === 0 ? 2 : next;
}

function unpack(record: Float64Array): Progress {
  return {
    nextSeq: record[0],
    commitHead: record[1],
    liveTail: record[2],
    bulkTail: record[3],
    own: record.slice(OWN_AT, RECORD_DOUBLES),
    furtherTails: record.slice(RECORD_DOUBLES),
  };
}
