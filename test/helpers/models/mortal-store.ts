/**
 * A small store, its one applier's slots and undo record, all in this thread, whose writer can be
 * made to die before any of its writes; with snapshots, so that every death starts from the same
 * state. Tests only.
 */
import { SLOT_BYTES, SlotViews } from '../../../src/ring/slot.ts';
import {
  ENTRY_NEXT_FREE,
  ENTRY_VERSION,
  ENTRY_WORDS,
  SHARD_CERTAIN,
  SHARD_FREE,
  SHARD_FREE_FIRST,
  SHARD_INDEX_VERSION,
  SHARD_RELEASED,
  SHARD_USED,
  Shard,
  shardSize,
} from '../../../src/store/shard.ts';
import { isForgotten } from '../../../src/store/shard-places.ts';
import { ShardWriter, UNDO_BYTES } from '../../../src/store/shard-writer.ts';
import { SharedProductStore } from '../../../src/store/shared-product-store.ts';
import type { HashKey } from '../../../src/threads/shared-memory.ts';
import { DyingWrites } from './dying-writes.ts';
import { type PlainEvent, putEvent } from './plain-event.ts';

const SLOTS = 16;

export class MortalStore {
  readonly key: HashKey;
  readonly store: SharedProductStore;
  readonly writes = new DyingWrites();
  readonly #slots = new SlotViews(new SharedArrayBuffer(SLOTS * SLOT_BYTES), 0, SLOTS);
  readonly #shards: readonly Shard[];
  readonly #watched: readonly Shard[];
  readonly #undo = new Int32Array(new SharedArrayBuffer(UNDO_BYTES));
  readonly #watchedUndo: Int32Array;

  constructor(key: HashKey, shards: number, shardBytes: number) {
    this.key = key;
    this.#shards = Array.from({ length: shards }, () => Shard.create(shardSize(shardBytes)));
    this.#watched = this.#shards.map((shard) =>
      Object.create(shard, {
        words: { value: this.writes.watch(shard.words) },
        doubles: { value: this.writes.watch(shard.doubles) },
      }),
    );
    this.#watchedUndo = this.writes.watch(this.#undo);
    this.store = new SharedProductStore(this.#shards, key);
  }

  /** Room for entries in all shards. */
  get room(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.entries, 0);
  }

  /** Reservations settled so far. */
  get released(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.words[SHARD_RELEASED], 0);
  }

  /** Entries that a writer seems to be at work on. */
  get oddEntries(): number {
    let odd = 0;
    for (const shard of this.#shards) {
      for (let i = 0; i < shard.words[SHARD_USED]; i++) {
        odd += shard.words[shard.entriesAt + i * ENTRY_WORDS + ENTRY_VERSION] & 1;
      }
    }
    return odd;
  }

  /** Forgotten products whose places are not freed. */
  get forgotten(): number {
    let forgotten = 0;
    for (const shard of this.#shards) {
      for (let i = 0; i < shard.words[SHARD_USED]; i++) {
        if (isForgotten(shard, shard.entriesAt + i * ENTRY_WORDS)) forgotten++;
      }
    }
    return forgotten;
  }

  /** Places below the highest that was ever taken which hold nothing, as the shards count them. */
  get free(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.words[SHARD_FREE], 0);
  }

  /** What is wrong with the index or the free places of a shard, or ''. */
  get fault(): string {
    for (const { words, entriesAt, cellsAt, cells } of this.#shards) {
      const used = words[SHARD_USED];
      const certain = words[SHARD_CERTAIN];
      if (certain !== used) return `${certain} certain of ${used}`;
      const free = new Set<number>();
      for (let no = words[SHARD_FREE_FIRST]; no !== 0; ) {
        if (free.has(no) || no > used) return `place ${no} is free twice or never was taken`;
        free.add(no);
        no = words[entriesAt + (no - 1) * ENTRY_WORDS + ENTRY_NEXT_FREE];
      }
      if (free.size !== words[SHARD_FREE]) return `${free.size} free, not ${words[SHARD_FREE]}`;
      const led = [...words.subarray(cellsAt, cellsAt + cells)].filter((cell) => cell !== 0);
      if (new Set(led).size !== led.length) return 'two cells lead to one entry';
      if (led.some((no) => free.has(no))) return 'a cell leads to a free place';
      if (led.length + free.size !== used) return `${led.length} cells of ${used - free.size}`;
      if ((words[SHARD_INDEX_VERSION] & 1) !== 0) return 'the index was left odd';
    }
    return '';
  }

  /** Frees the places of all forgotten products, with a fresh thread's writer. */
  sweep(): void {
    const { places } = this.freshWriter();
    for (const [index, shard] of this.#shards.entries()) {
      for (let i = 0; i < shard.words[SHARD_USED]; i++) {
        const entry = shard.entriesAt + i * ENTRY_WORDS;
        if (isForgotten(shard, entry)) places.free(index, entry);
      }
    }
  }

  /** Puts the event where the commit ring would have it at `cursor`. */
  put(cursor: number, event: PlainEvent): void {
    putEvent(this.#slots, cursor & (SLOTS - 1), event, this.key);
  }

  /** A new thread's writer: nothing survives of the one before but what is in shared memory. */
  freshWriter(): ShardWriter {
    return new ShardWriter(this.#watched, this.#slots, this.#watchedUndo);
  }

  slotOf(cursor: number): number {
    return cursor & (SLOTS - 1);
  }

  /** All shared memory as it stands; the function puts it back. */
  snapshot(): () => void {
    const kept = [...this.#shards.map((shard) => shard.words), this.#undo].map((words) => ({
      words,
      copy: words.slice(),
    }));
    return () => {
      for (const { words, copy } of kept) words.set(copy);
    };
  }

  /** All shared memory that stays, as a string to compare: the shards, not the undo record. */
  fingerprint(): string {
    return this.#shards
      .map((shard) => Buffer.from(shard.words.slice().buffer).toString('latin1'))
      .join('');
  }
}
