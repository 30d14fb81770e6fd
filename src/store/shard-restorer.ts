/**
 * Puts a checkpoint's entries back into the shards at start. Log thread, before it has given the
 * appliers anything; also the command-line tools.
 *
 * Why it may write what the appliers own:
 *  1. An applier touches no shard before it finds a slot in the commit ring, and there is none yet:
 *     nobody else is in the shards, and plain stores do.
 *  2. The first slot, of the log's rest or of a live event, is published by an Atomics.store of
 *     COMMIT_HEAD. It pairs with the Atomics.load in the applier's loop, and comes after every store
 *     in here: whoever finds the slot finds the whole restored store.
 *  3. The main thread refuses reads, and takes no event, until the log thread reports `serving`; if a
 *     stop comes before, for good.
 *  4. A log thread that dies before it serves ends the process: there is no store half restored.
 *
 * An entry looks the same in a checkpoint as in a shard. Only its place is another: shards may be more or
 * fewer than they were, and in checkpoints of format 1 the hash had a new key at each start. Where both
 * are the same, shard-image.ts does without this.
 */
import assert from 'node:assert/strict';
import { SLOT_WORDS, type SlotViews } from '../ring/slot.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import { hashId } from './id-hash.ts';
import { NoRoomError } from './no-room-error.ts';
import {
  ENTRY_HASH,
  ENTRY_ID,
  ENTRY_ID_LENGTH_SHIFT,
  ENTRY_META,
  ENTRY_SEQ,
  ENTRY_STATE_FIRST,
  ENTRY_STATE_WORDS,
  ENTRY_WORDS,
  SHARD_CERTAIN,
  SHARD_USED,
  type Shard,
  shardOf,
} from './shard.ts';

/** Entries that are taken together: enough for all cache misses that a core can have in flight. */
const RUN_ENTRIES = 64;
const ENTRY_STATE_END = ENTRY_STATE_FIRST + ENTRY_STATE_WORDS;

assert.equal(ENTRY_WORDS, SLOT_WORDS, 'views of slots step by entry size');

export class ShardRestorer {
  readonly #shards: readonly Shard[];
  readonly #key: HashKey;
  /** Of the entries that are just being taken. */
  readonly #hashes = new Int32Array(RUN_ENTRIES);
  readonly #cells = new Int32Array(RUN_ENTRIES);

  /** `key` is this start's. */
  constructor(shards: readonly Shard[], key: HashKey) {
    this.#shards = shards;
    this.#key = key;
  }

  /**
   * Restores `count` entries from index `first` on. Of two states of a product the one with the
   * higher seq stays, whichever comes first. Throws NoRoomError.
   */
  restore(entries: SlotViews, first: number, count: number): void {
    for (let done = 0; done < count; done += RUN_ENTRIES) {
      const run = Math.min(RUN_ENTRIES, count - done);
      this.#hash(entries.words, first + done, run);
      this.#prefetch(run);
      for (let i = 0; i < run; i++) {
        this.#put(entries, (first + done + i) * ENTRY_WORDS, this.#hashes[i]);
      }
    }
  }

  #hash(words: Int32Array, first: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const at = (first + i) * ENTRY_WORDS;
      this.#hashes[i] = hashId(this.#key, words, at + ENTRY_ID, idBytesAt(words, at));
    }
  }

  /**
   * Brings the index cells of these entries into the core's caches. A loop of its own, with nothing
   * but the loads in it: among the hashing, too few of their misses overlap (0.35 µs for an entry
   * restored instead of 0.15, over a million products).
   */
  #prefetch(count: number): void {
    for (let i = 0; i < count; i++) {
      const hash = this.#hashes[i];
      const shard = this.#shardOf(hash);
      // Stored, so that the compiler can't leave the read out.
      this.#cells[i] = shard.words[shard.cellsAt + (hash & (shard.cells - 1))];
    }
  }

  #put({ words, doubles }: SlotViews, at: number, hash: number): void {
    const shard = this.#shardOf(hash);
    const found = shard.findAsOwner(words, at + ENTRY_ID, idBytesAt(words, at), hash);
    if (found >= 0) {
      const isLater = seqAt(doubles, at) > seqAt(shard.doubles, found);
      if (isLater) copyWords(words, at, shard.words, found, ENTRY_STATE_FIRST, ENTRY_STATE_END);
      return;
    }
    const used = shard.words[SHARD_USED];
    if (used === shard.entries) throw new NoRoomError();
    const entry = shard.entriesAt + used * ENTRY_WORDS;
    // The version stays 0, as in every entry that no writer is at.
    shard.words[entry + ENTRY_HASH] = hash;
    copyWords(words, at, shard.words, entry, ENTRY_SEQ, ENTRY_WORDS);
    shard.words[SHARD_USED] = used + 1;
    shard.words[-1 - found] = used + 1;
    shard.words[SHARD_CERTAIN] = used + 1;
  }

  #shardOf(hash: number): Shard {
    return this.#shards[shardOf(hash, this.#shards.length)];
  }
}

function idBytesAt(words: Int32Array, at: number): number {
  return words[at + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT;
}

function seqAt(doubles: Float64Array, at: number): number {
  return doubles[(at + ENTRY_SEQ) >> 1];
}

/** As words, not as doubles: those may come out with another NaN. So few, that a loop beats `set`. */
function copyWords(
  from: Int32Array,
  at: number,
  to: Int32Array,
  toAt: number,
  first: number,
  end: number,
): void {
  for (let i = first; i < end; i++) to[toAt + i] = from[at + i];
}
