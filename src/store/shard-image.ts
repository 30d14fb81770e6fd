/**
 * A shard's entries as they lie in memory, on their way to a checkpoint and back.
 *
 * Copying, in the checkpoint's thread, while the owner goes on. Word by word through Atomics.load an
 * entry takes ten times as long as its bytes (each is a call), so whole pieces are copied, and whatever
 * was written meanwhile is found and copied again:
 *  1. The version of each entry of the piece is read.
 *  2. A fence: an atomic read-modify-write on a word of our own. No load passes it in either direction
 *     on the machines that Node runs on (x86: locked instruction; ARM: release, and what follows
 *     acquires), and no compiler moves plain loads past the call that it is.
 *  3. The piece is copied, words that are being written and all.
 *  4. A fence.
 *  5. The versions are read again. An entry whose version is even and the same as in 1 was written by
 *     nobody between 1 and 5: its copy is one committed state. All others are read again, each with
 *     the readers' seqlock.
 * The rest of an entry (hash, meta, id) was written before it could be counted, and changes only with its
 * version, when its place becomes another product's. Free places are left out: what stands behind them moves
 * up. A place is freed only when every state from which a start could replay knows its product as forgotten
 * (src/cleanup); who takes it comes with an event that the replay of this part has.
 *
 * So a product may be copied twice: forgotten, at a place that is freed behind the copier; and as it is once
 * an event took it to a free place before the copier. The second copy is of the later event, one that the
 * replay of this part has too. `index` keeps that state, at the first place, and makes the second one free;
 * else the product would have a second entry to which no event comes any more, and which shows again once
 * the first one is freed.
 *
 * The index is not copied. Every entry holds its hash; so it is made anew from the hashes, in the order of
 * the entries, which is the order in which the owner made it.
 *
 * Restoring, in any one thread at start (shard-restorer.ts says why it may write): bytes are put
 * where they belong, and `index` takes them in.
 */
import {
  ENTRY_BYTES,
  ENTRY_HASH,
  ENTRY_ID,
  ENTRY_ID_LENGTH_SHIFT,
  ENTRY_META,
  ENTRY_NEXT_FREE,
  ENTRY_SEQ,
  ENTRY_STATE_FIRST,
  ENTRY_STATE_WORDS,
  ENTRY_UPDATED_AT,
  ENTRY_VERSION,
  ENTRY_WORDS,
  SHARD_CERTAIN,
  SHARD_FREE,
  SHARD_FREE_FIRST,
  SHARD_USED,
  type Shard,
} from './shard.ts';
import { clearEntry } from './shard-places.ts';

/** Entries copied at once: few enough to be in the core's cache when their versions are read again. */
export const PIECE_ENTRIES = 2048;
const READ_TRIES = 1000;
/** Pauses of 1 ms for a writer that died while it held an entry; its successor lets go of it. */
const HELD_PAUSES_MAX = 10_000;

/** Copies entries out of a shard, each as one committed state. */
export class ShardCopier {
  /** What was copied last. */
  readonly bytes = Buffer.from(new ArrayBuffer(PIECE_ENTRIES * ENTRY_BYTES));
  /** The highest seq of all entries copied since it was set. */
  lastSeq = 0;
  /** Likewise the latest commit time. */
  lastTimeMs = 0;
  readonly #words = new Int32Array(this.bytes.buffer);
  readonly #doubles = new Float64Array(this.bytes.buffer);
  readonly #versions = new Int32Array(PIECE_ENTRIES);
  readonly #fence = new Int32Array(new SharedArrayBuffer(4));

  /**
   * Copies `count` ≤ PIECE_ENTRIES certain entries from entry `from` on, but for free places; returns how many
   * that is.
   */
  copy(shard: Shard, from: number, count: number): number {
    const { words, entriesAt } = shard;
    const versions = this.#versions;
    const to = this.#words;
    const first = entriesAt + from * ENTRY_WORDS;
    for (let i = 0, w = first; i < count; i++, w += ENTRY_WORDS) {
      versions[i] = words[w + ENTRY_VERSION];
    }
    Atomics.add(this.#fence, 0, 1);
    to.set(words.subarray(first, first + count * ENTRY_WORDS));
    Atomics.add(this.#fence, 0, 1);
    let last = this.lastSeq;
    let lastTime = this.lastTimeMs;
    for (let i = 0, w = first, t = 0; i < count; i++, w += ENTRY_WORDS, t += ENTRY_WORDS) {
      const version = versions[i];
      if ((version & 1) !== 0 || words[w + ENTRY_VERSION] !== version) {
        this.#copyEntry(words, w, t);
      }
      // It means something only to the process that wrote it.
      to[t + ENTRY_VERSION] = 0;
      const seq = this.#doubles[(t + ENTRY_SEQ) >> 1];
      if (seq > last) last = seq;
      const time = this.#doubles[(t + ENTRY_UPDATED_AT) >> 1];
      if (time > lastTime) lastTime = time;
    }
    this.lastSeq = last;
    this.lastTimeMs = lastTime;
    return this.#closeUp(count);
  }

  /** Moves what is no free place to the front. */
  #closeUp(count: number): number {
    const words = this.#words;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const at = i * ENTRY_WORDS;
      if (words[at + ENTRY_META] === 0) continue;
      if (kept < i) words.copyWithin(kept * ENTRY_WORDS, at, at + ENTRY_WORDS);
      kept++;
    }
    return kept;
  }

  #copyEntry(words: Int32Array, entry: number, to: number): void {
    for (let pauses = 0; pauses < HELD_PAUSES_MAX; pauses++) {
      for (let tries = 0; tries < READ_TRIES; tries++) {
        // Pairs with the writer's two stores of the version around its stores of the state.
        const before = Atomics.load(words, entry + ENTRY_VERSION);
        if (before & 1) continue;
        for (let i = ENTRY_HASH; i < ENTRY_WORDS; i++) {
          this.#words[to + i] = Atomics.load(words, entry + i);
        }
        if (Atomics.load(words, entry + ENTRY_VERSION) === before) return;
      }
      Atomics.wait(words, entry + ENTRY_VERSION, Atomics.load(words, entry + ENTRY_VERSION), 1);
    }
    throw new Error('an entry of the store is held by a writer that does not let go');
  }
}

/** The memory of `count` entries from entry `first` on, to be filled before `indexImage`. */
export function imageMemory(shard: Shard, first: number, count: number): Uint8Array {
  const at = (shard.entriesAt + first * ENTRY_WORDS) * 4;
  return new Uint8Array(shard.buffer, at, count * ENTRY_BYTES);
}

/**
 * Takes in `count` entries from entry `first` on, whose bytes are there; all before `first` were taken
 * in. All events before `replayFrom` were applied when they were copied. Nobody else is in the shard.
 */
export function indexImage(shard: Shard, first: number, count: number, replayFrom: number): void {
  const { words, doubles, cellsAt } = shard;
  const mask = shard.cells - 1;
  for (let i = first; i < first + count; i++) {
    const entry = shard.entriesAt + i * ENTRY_WORDS;
    // The entries of the cells on the way are looked at only where it may be needed: each is a cache miss.
    if (doubles[(entry + ENTRY_SEQ) >> 1] >= replayFrom && isMerged(shard, entry, i + 1)) continue;
    let probe = words[entry + ENTRY_HASH] & mask;
    // It ends: at most half of the cells are taken.
    while (words[cellsAt + probe] !== 0) probe = (probe + 1) & mask;
    words[cellsAt + probe] = i + 1;
  }
  words[SHARD_USED] = first + count;
  words[SHARD_CERTAIN] = first + count;
}

/** Whether the product of the entry at word `entry` was taken in before; then it has one place, and `no` is free. */
function isMerged(shard: Shard, entry: number, no: number): boolean {
  const { words, doubles } = shard;
  const idBytes = words[entry + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT;
  const found = shard.findAsOwner(words, entry + ENTRY_ID, idBytes, words[entry + ENTRY_HASH]);
  if (found < 0) return false;
  if (doubles[(entry + ENTRY_SEQ) >> 1] > doubles[(found + ENTRY_SEQ) >> 1]) {
    const state = entry + ENTRY_STATE_FIRST;
    words.copyWithin(found + ENTRY_STATE_FIRST, state, state + ENTRY_STATE_WORDS);
  }
  clearEntry(words, entry);
  words[entry + ENTRY_NEXT_FREE] = words[SHARD_FREE_FIRST];
  words[SHARD_FREE_FIRST] = no;
  words[SHARD_FREE]++;
  return true;
}

/** Empties a shard of which `entries` may have been filled. Nobody else is in it. */
export function clearImage(shard: Shard, entries: number): void {
  for (const count of [SHARD_USED, SHARD_CERTAIN, SHARD_FREE, SHARD_FREE_FIRST]) {
    shard.words[count] = 0;
  }
  const end = shard.entriesAt + entries * ENTRY_WORDS;
  shard.words.fill(0, shard.cellsAt, Math.min(end, shard.words.length));
}
