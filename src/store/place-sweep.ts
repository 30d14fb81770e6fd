/**
 * Frees the places of products that are forgotten up to the bound, a piece at a time, so that events don't wait
 * for it. And finds, at a replay, which place to free next in a shard that is full. An applier's thread, on
 * its own shards; nothing of it has to survive a death: a successor sweeps again from the beginning.
 */
import type { FreeingBounds } from './freeing-bounds.ts';
import { ENTRY_SEQ, ENTRY_WORDS, SHARD_USED, type Shard } from './shard.ts';
import { isForgotten, type ShardPlaces } from './shard-places.ts';

/** Entries looked at in one step: some 50 µs. */
const STEP_ENTRIES = 4096;

export class PlaceSweep {
  readonly #shards: readonly Shard[];
  readonly #owned: readonly number[];
  readonly #bounds: FreeingBounds;
  readonly #places: ShardPlaces;
  /** The bound that all entries were looked at by, but those from the place below on. */
  #until = 0;
  /** Of the owned shards; as many as there are = nothing is left to do. */
  #at: number;
  #entry = 0;

  constructor(
    shards: readonly Shard[],
    owned: readonly number[],
    bounds: FreeingBounds,
    places: ShardPlaces,
  ) {
    this.#shards = shards;
    this.#owned = owned;
    this.#bounds = bounds;
    this.#places = places;
    this.#at = owned.length;
  }

  /** Goes on by a piece; returns how many places it freed, or −1 if there is nothing to do. */
  step(): number {
    if (this.#at === this.#owned.length) {
      const until = this.#bounds.sweepUntil;
      if (until <= this.#until) return -1;
      this.#until = until;
      this.#at = 0;
      this.#entry = 0;
    }
    const index = this.#owned[this.#at];
    const shard = this.#shards[index];
    const used = shard.words[SHARD_USED];
    const end = Math.min(used, this.#entry + STEP_ENTRIES);
    let freed = 0;
    for (let i = this.#entry; i < end; i++) {
      const entry = shard.entriesAt + i * ENTRY_WORDS;
      if (!isForgotten(shard, entry) || seqOf(shard, entry) > this.#until) continue;
      this.#places.free(index, entry);
      freed++;
    }
    this.#entry = end;
    if (end === used) {
      this.#at++;
      this.#entry = 0;
    }
    return freed;
  }
}

/** Which place a replay frees next, the one forgotten first; `undefined` = none. */
export class ReplayPlaces {
  readonly #shards: readonly Shard[];
  readonly #bounds: FreeingBounds;
  /** By shard: entries with the seq that each had, the lowest last. */
  readonly #found = new Map<number, { readonly entry: number; readonly seq: number }[]>();

  constructor(shards: readonly Shard[], bounds: FreeingBounds) {
    this.#shards = shards;
    this.#bounds = bounds;
  }

  /** For the slot with this seq; all slots of the shard before it are applied. */
  next(shardIndex: number, seq: number): number | undefined {
    if (!this.#bounds.isReplaying) return undefined;
    const shard = this.#shards[shardIndex];
    let found = this.#found.get(shardIndex) ?? [];
    for (let looks = 0; looks < 2; looks++) {
      for (let last = found.pop(); last !== undefined; last = found.pop()) {
        if (isForgotten(shard, last.entry) && seqOf(shard, last.entry) === last.seq) {
          return last.entry;
        }
      }
      found = forgottenIn(shard, seq).sort((a, b) => b.seq - a.seq);
      this.#found.set(shardIndex, found);
    }
    return undefined;
  }
}

/** Those that were forgotten before `end`. */
function forgottenIn(shard: Shard, end: number) {
  const found = [];
  for (let i = 0; i < shard.words[SHARD_USED]; i++) {
    const entry = shard.entriesAt + i * ENTRY_WORDS;
    const seq = seqOf(shard, entry);
    if (seq < end && isForgotten(shard, entry)) found.push({ entry, seq });
  }
  return found;
}

function seqOf({ doubles }: Shard, entry: number): number {
  return doubles[(entry + ENTRY_SEQ) >> 1];
}
