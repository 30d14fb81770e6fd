/**
 * Whether the store has room for the new products of a frame, decided by the log thread before anything of it
 * counts: exactly, and on every instance alike, because it looks at a store that has all events before and
 * none behind. It only waits for the appliers where the store is nearly full. Log thread.
 */
import type { CommitPublisher } from '../log/commit-publisher.ts';
import {
  EXPECTED_UNLISTED,
  metaIdBytes,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_HASH,
  SLOT_ID,
  SLOT_ID_BYTE,
  SLOT_META,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import { SHARD_USED, type Shard, shardOf } from '../store/shard.ts';

export class StoreRoom {
  readonly #shards: readonly Shard[];
  readonly #commits: CommitPublisher;
  /** Products that the frame at hand has made already, by their ids' bytes. */
  readonly #made = new Set<string>();
  /** How many of them in each shard. */
  readonly #madeIn: Int32Array;

  constructor(shards: readonly Shard[], commits: CommitPublisher) {
    this.#shards = shards;
    this.#commits = commits;
    this.#madeIn = new Int32Array(shards.length);
  }

  /**
   * Whether a frame of `count` events may hold more new products than fit; then the store has all events
   * before it when this returns, and each of its events has to be asked for by `fits`, in order.
   */
  isTight(count: number): boolean {
    if (this.#fitsAnyway(count + this.#commits.capacity - this.#commits.free())) return false;
    this.#commits.publish();
    this.#commits.waitUntilApplied();
    if (this.#fitsAnyway(count)) return false;
    this.#made.clear();
    this.#madeIn.fill(0);
    return true;
  }

  /** Whether the event in the slot, whose hash is there, finds its product or room for it. */
  fits({ words, doubles, bytes }: SlotViews, index: number): boolean {
    const w = index * SLOT_WORDS;
    const idBytes = metaIdBytes(words[w + SLOT_META]);
    const hash = words[w + SLOT_HASH];
    const at = shardOf(hash, this.#shards.length);
    const shard = this.#shards[at];
    if (shard.find(words, w + SLOT_ID, idBytes, hash) >= 0) return true;
    const expected = doubles[index * SLOT_DOUBLES + SLOT_EXPECTED_SEQ];
    // It is refused and makes nothing.
    if (expected !== 0 && expected !== EXPECTED_UNLISTED) return true;
    const from = index * SLOT_BYTES + SLOT_ID_BYTE;
    const id = Buffer.from(bytes.buffer, bytes.byteOffset + from, idBytes).toString('latin1');
    if (this.#made.has(id)) return true;
    if (Atomics.load(shard.words, SHARD_USED) + this.#madeIn[at] >= shard.entries) return false;
    this.#made.add(id);
    this.#madeIn[at]++;
    return true;
  }

  #fitsAnyway(products: number): boolean {
    return this.#shards.every(
      ({ words, entries }) => Atomics.load(words, SHARD_USED) + products <= entries,
    );
  }
}
