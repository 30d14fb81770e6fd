/**
 * Who still needs the log: "everything from seq N on", with a bound, in shared memory. The main thread
 * writes, the checkpoint thread reads before it removes a piece.
 *
 *   HOLDS_MAX × (i64 seq, 0 = nobody; i64 bytes, how much log it may keep at the most)
 *
 * A hold keeps what is there when the next piece is considered; somebody who comes for events that go just
 * now finds them gone. Beyond its bound a hold counts no more: a reader that has stopped for good must
 * not fill the disk.
 */

/** Holds at a time. */
const HOLDS_MAX = 64;
const HOLD_WORDS = 2;

export interface Hold {
  /** Everything before `seq` is no longer needed. Seqs only go up. */
  advance(seq: number): void;
  end(): void;
}

export class LogHolds {
  readonly #words: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new BigInt64Array(buffer);
  }

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(LogHolds.bytes);
  }

  static get bytes(): number {
    return HOLDS_MAX * HOLD_WORDS * 8;
  }

  /** Keeps everything from `seq` on, `bytesMax` of log at the most. Throws if too many do already. */
  hold(seq: number, bytesMax: number): Hold {
    for (let w = 0; w < this.#words.length; w += HOLD_WORDS) {
      if (Atomics.load(this.#words, w) !== 0n) continue;
      Atomics.store(this.#words, w + 1, BigInt(bytesMax));
      // Last: it makes the hold one.
      Atomics.store(this.#words, w, BigInt(seq));
      return {
        advance: (to) => void Atomics.store(this.#words, w, BigInt(to)),
        end: () => void Atomics.store(this.#words, w, 0n),
      };
    }
    throw new Error(`${HOLDS_MAX} readers hold the log already`);
  }

  /** Whether somebody needs events before seq `before`, of which `bytesBehind` of log would be kept. */
  needs(before: number, bytesBehind: () => number): boolean {
    for (let w = 0; w < this.#words.length; w += HOLD_WORDS) {
      const seq = Atomics.load(this.#words, w);
      if (seq === 0n || Number(seq) >= before) continue;
      if (bytesBehind() <= Number(Atomics.load(this.#words, w + 1))) return true;
    }
    return false;
  }
}
