/**
 * The seqs of the events that died since the start, in shared memory: the main thread declares events dead, any
 * thread that answers for batches looks them up. The last 65,536 of them; each has cost two threads.
 *
 *   byte  0  count   i32  dead events since the start; the main thread writes
 *         8  seqs    65,536 × i64, at count modulo 65,536
 *
 * A seq is stored before the count, and both before the order to skip the event; so whoever sees the event as
 * applied sees it here.
 */
const PLACES = 65_536;
const SEQS_BYTE = 8;

export class DeadSeqs {
  static readonly bytes = SEQS_BYTE + PLACES * BigInt64Array.BYTES_PER_ELEMENT;
  readonly #count: Int32Array;
  readonly #seqs: BigInt64Array;

  /** Views memory made by `create`, in any thread. */
  constructor(memory: SharedArrayBuffer) {
    this.#count = new Int32Array(memory, 0, 1);
    this.#seqs = new BigInt64Array(memory, SEQS_BYTE, PLACES);
  }

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(DeadSeqs.bytes);
  }

  /** Main thread: the event `seq` is dead. */
  add(seq: number): void {
    const count = Atomics.load(this.#count, 0);
    Atomics.store(this.#seqs, count % PLACES, BigInt(seq));
    Atomics.store(this.#count, 0, count + 1);
  }

  /** Which events from `from` to `to` are among them. */
  *within(from: number, to: number): Iterable<number> {
    const known = Math.min(Atomics.load(this.#count, 0), PLACES);
    for (let i = 0; i < known; i++) {
      const seq = Number(Atomics.load(this.#seqs, i));
      if (from <= seq && seq <= to) yield seq;
    }
  }
}
