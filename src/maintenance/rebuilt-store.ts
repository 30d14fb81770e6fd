/**
 * A product store built in one thread from checkpoint entries and log frames, by the code that a
 * start uses: the replay restores entries and fills a commit ring, the real merge rule empties it.
 * Main thread of a tool.
 */
import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../dedupe/receipt-window.ts';
import { CommitPublisher } from '../log/commit-publisher.ts';
import { OutcomeWindow } from '../outcome/outcome-window.ts';
import { Replay } from '../recovery/replay.ts';
import { COMMIT_HEAD, CommitRing, commitCursor } from '../ring/commit-ring.ts';
import { IntakeRing } from '../ring/intake-ring.ts';
import { FreeingBounds } from '../store/freeing-bounds.ts';
import { NoRoomError } from '../store/no-room-error.ts';
import { ReplayPlaces } from '../store/place-sweep.ts';
import { Shard } from '../store/shard.ts';
import { ShardWriter, UNDO_BYTES } from '../store/shard-writer.ts';
import type { StorePlan } from '../store/sizing.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import { createSharedMemory } from '../write-path/memory.ts';

export class RebuiltStore {
  readonly shards: readonly Shard[];
  readonly hashKey: HashKey;
  /**
   * What is given to it: entries, newest checkpoint first, keys, frames in order, then `finish`. It
   * throws NoRoomError when a product does not fit.
   */
  readonly replay: Replay;
  /** The keys of the last `dedupeEvents` keyed events that are replayed. */
  readonly dedupe: DedupeWindow;
  /** The receipts of the last batches. */
  readonly receipts: ReceiptWindow;

  constructor(plan: StorePlan, dedupeEvents = 1, hashKey?: HashKey) {
    const memory = createSharedMemory({
      queueSize: 1,
      appliers: 1,
      store: plan,
      dedupeEvents,
      hashKey,
    });
    const ring = new CommitRing(memory.commit, 1);
    this.hashKey = memory.hashKey;
    this.shards = memory.shards.map((buffer) => new Shard(buffer));
    const applier = new InlineApplier(ring, this.shards);
    this.dedupe = new DedupeWindow(memory.dedupe, memory.hashKey);
    this.receipts = new ReceiptWindow(memory.receipts, memory.hashKey);
    this.replay = new Replay(new IntakeRing(memory.intake), applier, {
      shards: this.shards,
      hashKey: memory.hashKey,
      dedupe: this.dedupe,
      receipts: this.receipts,
      outcomes: new OutcomeWindow(memory.outcomes),
    });
  }

  get products(): number {
    return this.shards.reduce((sum, { taken }) => sum + taken, 0);
  }
}

/** The commit ring with its only applier in the same thread: what others wait for, this does. */
class InlineApplier extends CommitPublisher {
  readonly #ring: CommitRing;
  readonly #writer: ShardWriter;

  constructor(ring: CommitRing, shards: readonly Shard[]) {
    super(ring);
    this.#ring = ring;
    const bounds = new FreeingBounds(FreeingBounds.create());
    bounds.isReplaying = true;
    const places = new ReplayPlaces(shards, bounds);
    const undo = new Int32Array(UNDO_BYTES / 4);
    this.#writer = new ShardWriter(shards, ring.slots, undo, (shard, seq) =>
      places.next(shard, seq),
    );
  }

  override waitForRoom(): void {
    this.#apply();
  }

  override waitUntilApplied(): void {
    this.#apply();
  }

  #apply(): void {
    const { cursors, mask, commitTimes } = this.#ring;
    const head = cursors[COMMIT_HEAD];
    const own = commitCursor(0);
    for (let cursor = cursors[own]; cursor !== head; cursor = (cursor + 1) | 0) {
      const slot = cursor & mask;
      if (this.#writer.apply(cursor, slot, commitTimes[slot]) === 'no-room') {
        throw new NoRoomError();
      }
    }
    cursors[own] = head;
  }
}
