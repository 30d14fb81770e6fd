/**
 * From when on the places of forgotten products may be freed, in shared memory. A product was forgotten by
 * the note with the seq of its entry; src/cleanup has the whole story.
 *
 *   byte  0  sweep until   i64  places of products forgotten up to this seq are free to be swept; main writes
 *         8  replaying     i64  1 = the log is replayed: where a shard is full, places may be freed one by one;
 *                               the log thread writes, before it shows the appliers the first slot; main sets
 *                               it to 0 when the replay is done
 *
 * Why a replay frees: while the service ran, places were freed and given to others that the log still has. In a
 * part of the checkpoint from before, or without one, the forgotten product still has its place. It is freed where
 * there is no other place, the one that was forgotten first: so never more than had been freed by this point
 * of the log, and then behind the same bounds. All events of it up to the note are passed by then.
 */
const SWEEP_UNTIL = 0;
const REPLAYING = 1;

export class FreeingBounds {
  readonly #words: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new BigInt64Array(buffer);
  }

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(FreeingBounds.bytes);
  }

  /** What `create` allocates. */
  static get bytes(): number {
    return 16;
  }

  get sweepUntil(): number {
    return Number(Atomics.load(this.#words, SWEEP_UNTIL));
  }

  /** Only ever raised. */
  set sweepUntil(seq: number) {
    Atomics.store(this.#words, SWEEP_UNTIL, BigInt(seq));
  }

  get isReplaying(): boolean {
    return Atomics.load(this.#words, REPLAYING) === 1n;
  }

  set isReplaying(isReplaying: boolean) {
    Atomics.store(this.#words, REPLAYING, isReplaying ? 1n : 0n);
  }
}
