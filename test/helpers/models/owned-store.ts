/**
 * A store whose owner is the test's own thread: events are applied at once, without ring and log.
 * Tests only.
 */
import { SLOT_BYTES, SlotViews } from '../../../src/ring/slot.ts';
import type { CatalogueWalk } from '../../../src/store/product-catalogue.ts';
import { ENTRY_VERSION, ENTRY_WORDS, Shard, shardSize } from '../../../src/store/shard.ts';
import { isForgotten } from '../../../src/store/shard-places.ts';
import { type ApplyResult, ShardWriter, UNDO_BYTES } from '../../../src/store/shard-writer.ts';
import { SharedProductStore } from '../../../src/store/shared-product-store.ts';
import { type PlainEvent, putEvent } from './plain-event.ts';

export const KEY = { k0: 0x5eed, k1: 0xfeed };

export class OwnedStore {
  readonly store: SharedProductStore;
  readonly shards: readonly Shard[];
  readonly #slots = new SlotViews(new SharedArrayBuffer(SLOT_BYTES), 0, 1);
  readonly #writer: ShardWriter;
  #seq = 0;

  constructor(shards: number, shardBytes: number) {
    this.shards = Array.from({ length: shards }, () => Shard.create(shardSize(shardBytes)));
    this.store = new SharedProductStore(this.shards, KEY);
    this.#writer = new ShardWriter(this.shards, this.#slots, new Int32Array(UNDO_BYTES / 4));
  }

  /** The seq of the last event. */
  get seq(): number {
    return this.#seq;
  }

  set seq(seq: number) {
    this.#seq = seq;
  }

  /** Applies the next event, committed at its seq in ms; price, stock and time follow from it. */
  put(productId: string, event: Partial<PlainEvent> = {}): void {
    this.#apply(productId, event, 'applied');
  }

  delist(productId: string, event: Partial<PlainEvent> = {}): void {
    this.put(productId, { isDelete: true, price: undefined, stock: undefined, ...event });
  }

  /** As src/cleanup does with one whose last event is the one that delisted it. */
  forget(productId: string): void {
    const none = { price: undefined, stock: undefined };
    this.store.read(productId);
    const expectedSeq = this.store.state.seq;
    this.#apply(productId, { isForget: true, expectedSeq, ...none }, 'forgotten');
  }

  /** Frees the places of all that are forgotten, in their order. */
  sweep(): void {
    for (const [index, shard] of this.shards.entries()) {
      for (let i = 0; i < shard.certainEntries; i++) {
        const entry = shard.entriesAt + i * ENTRY_WORDS;
        if (isForgotten(shard, entry)) this.#writer.places.free(index, entry);
      }
    }
  }

  #apply(productId: string, event: Partial<PlainEvent>, expected: ApplyResult): void {
    const seq = ++this.#seq;
    const whole = { seq, productId, price: seq, stock: seq * 2, occurredAtMs: seq, ...event };
    putEvent(this.#slots, 0, whole, KEY);
    const result = this.#writer.apply(seq, 0, seq);
    if (result !== expected) throw new Error(`event ${seq} on ${productId}: ${result}`);
  }

  /** Makes entry `entry` of shard `shard` look as if its writer were at it; the function lets go. */
  hold(shard: number, entry: number): () => void {
    const { words, entriesAt } = this.shards[shard];
    const version = entriesAt + entry * ENTRY_WORDS + ENTRY_VERSION;
    Atomics.add(words, version, 1);
    return () => void Atomics.add(words, version, 1);
  }
}

/** The ids that are left of a walk; throws on a busy entry. */
export function idsOf(walk: CatalogueWalk): string[] {
  const ids: string[] = [];
  for (;;) {
    const step = walk.next();
    if (step === 'end') return ids;
    if (step === 'busy') throw new Error('an entry is busy');
    if (step === 'found') ids.push(walk.id);
  }
}

/** `product-0` … in order. */
export function names(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, n) => `product-${from + n}`);
}
