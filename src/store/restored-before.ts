/**
 * From which seq on each shard is replayed at a start: what comes before is in the shard's part of the
 * checkpoint. In shared memory; the log thread writes it before it shows the appliers the first slot
 * (pairs with their Atomics.load of COMMIT_HEAD), so they read it plainly.
 *
 *   8 bytes for each shard  f64 seq; 0 = replay everything
 */
export class RestoredBefore {
  readonly #seqs: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#seqs = new Float64Array(buffer);
  }

  static create(shards: number): SharedArrayBuffer {
    return new SharedArrayBuffer(RestoredBefore.bytes(shards));
  }

  /** What `create` allocates. */
  static bytes(shards: number): number {
    return shards * 8;
  }

  /** Whether the event with this seq is in the restored state of `shard`. */
  has(shard: number, seq: number): boolean {
    return seq < this.#seqs[shard];
  }

  /** The highest of all; 0 = everything is replayed. */
  get end(): number {
    return Math.max(0, ...this.#seqs);
  }

  store(shard: number, seq: number): void {
    this.#seqs[shard] = seq;
  }
}
