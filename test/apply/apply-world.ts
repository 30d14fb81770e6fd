/**
 * The right half of the service in one test: a commit ring that the test fills as the log thread
 * does, a real pool of appliers, the store they write, and the model to compare it with.
 * Waits on the ring's bell only, with no timeout of its own: a bell that is missed fails the test.
 */
import { pino } from 'pino';
import type { Test } from 'tap';
import type { ApplierPool } from '../../src/apply/applier-pool.ts';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import { BellWatch } from '../../src/ring/bell.ts';
import { COMMIT_BELL_BACK, type CommitRing } from '../../src/ring/commit-ring.ts';
import { OWN_DOUBLES } from '../../src/ring/progress.ts';
import { SLOT_BYTES, SlotViews } from '../../src/ring/slot.ts';
import {
  ENTRY_VERSION,
  ENTRY_WORDS,
  SHARD_RELEASED,
  SHARD_USED,
  Shard,
} from '../../src/store/shard.ts';
import type { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { planStore } from '../../src/store/sizing.ts';
import { createSharedMemory } from '../../src/write-path/memory.ts';
import { WritePath } from '../../src/write-path/write-path.ts';
import { bounded } from '../helpers/bounded.ts';
import { type PlainEvent, putEvent } from '../helpers/models/plain-event.ts';
import { ProductModel, readProduct } from '../helpers/models/product-model.ts';
import { SCRIPT_WORDS, SCRIPTED_APPLIER } from '../helpers/threads/applier-script.ts';

const BATCH_MAX = 1024;
const WAIT_MS_MAX = 60_000;

export interface ApplyWorldOptions {
  readonly appliers?: number;
  readonly shards?: number;
  readonly firstCursor?: number;
  readonly storeBytes?: number;
}

/** An event without its number. */
export type Sent = Omit<PlainEvent, 'seq'>;

export class ApplyWorld {
  readonly path: WritePath;
  readonly pool: ApplierPool;
  readonly ring: CommitRing;
  readonly store: SharedProductStore;
  readonly model = new ProductModel();
  readonly script = new Int32Array(new SharedArrayBuffer(SCRIPT_WORDS * 4));
  readonly logged: { readonly msg: string; readonly event?: unknown }[] = [];
  readonly fatal: string[] = [];
  readonly #publisher: CommitPublisher;
  readonly #failed = Promise.withResolvers<void>();
  #isOpen = false;
  readonly #shards: readonly Shard[];
  readonly #key;
  readonly #staged = new SlotViews(new ArrayBuffer(BATCH_MAX * SLOT_BYTES), 0, BATCH_MAX);
  #seq = 0;
  #reserved = 0;

  constructor(t: Test, options: ApplyWorldOptions = {}) {
    const { appliers = 1, shards = 4, firstCursor = 0, storeBytes = 1 << 20 } = options;
    const memory = {
      queueSize: BATCH_MAX,
      appliers,
      store: planStore(storeBytes, shards),
      outcomeEvents: 64,
      firstCursor,
    };
    const write = (line: string) => void this.logged.push(JSON.parse(line));
    this.path = new WritePath(
      {
        ...memory,
        memory: { ...createSharedMemory(memory), ...{ script: this.script } },
        storageTimeoutMs: WAIT_MS_MAX,
        // The test is the log.
        log: {
          entry: SCRIPTED_APPLIER,
          data: {},
          history: () => ({
            open: () => {
              throw new Error('there is no log');
            },
          }),
        },
        applierEntry: SCRIPTED_APPLIER,
        logger: pino({ level: 'info' }, { write }),
      },
      {
        onFatal: (reason) => {
          this.fatal.push(reason);
          this.#failed.resolve();
        },
      },
    );
    this.ring = this.path.commits;
    this.pool = this.path.appliers;
    this.store = this.path.store;
    this.#publisher = new CommitPublisher(this.ring);
    this.#shards = this.path.memory.shards.map((buffer) => new Shard(buffer));
    this.#key = this.path.memory.hashKey;
    this.pool.start();
    t.teardown(() => this.path.terminate());
  }

  /** Commits the events as one batch (≤ 1,024), once the ring has room; the model sees them too. */
  async send(...events: Sent[]): Promise<void> {
    await this.#until(() => this.#publisher.free() >= events.length, 'room in the ring');
    for (const [i, event] of events.entries()) {
      const numbered = { ...event, seq: ++this.#seq };
      putEvent(this.#staged, i, numbered, this.#key);
      this.model.apply(numbered, this.#seq);
      if (event.reserved) this.#reserved++;
      this.#publisher.write(this.#staged, BATCH_MAX - 1, i, 1, this.#seq);
    }
    if (this.#isOpen) this.#storeProgress();
    this.#publisher.publish();
  }

  /** The log is open, so that what is sent from now on is no replay. Before the first event. */
  openLog(): void {
    this.#isOpen = true;
    this.#storeProgress();
  }

  shard(index: number): Shard {
    return this.#shards[index];
  }

  /** Resolves when the appliers can't go on. */
  get failed(): Promise<void> {
    return this.#failed.promise;
  }

  /** Resolves when the appliers are behind everything sent. */
  async caughtUp(): Promise<void> {
    const isCaughtUp = () => this.ring.backlog(this.#publisher.head) === 0;
    await this.#until(isCaughtUp, 'the appliers to catch up');
  }

  /** Closes the ring; resolves when the appliers have ended. */
  async finish(): Promise<void> {
    this.#publisher.close();
    await bounded(this.pool.finished(), WAIT_MS_MAX, 'the appliers to end');
  }

  /** What differs between the store and the model, once all is applied; '' if nothing does. */
  difference(): string {
    for (const [id, expected] of this.model.products) {
      const found = readProduct(this.store, id);
      if (JSON.stringify(found) !== JSON.stringify(expected)) {
        return `${id}: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`;
      }
    }
    const { size } = this.model.products;
    if (this.store.size !== size) return `used ${this.store.size}, expected ${size}`;
    let released = 0;
    for (const { words, entriesAt } of this.#shards) {
      released += words[SHARD_RELEASED];
      for (let i = 0; i < words[SHARD_USED]; i++) {
        const version = words[entriesAt + i * ENTRY_WORDS + ENTRY_VERSION];
        if (version & 1) return 'an entry was left odd';
      }
    }
    return released === this.#reserved ? '' : `released ${released}, expected ${this.#reserved}`;
  }

  #storeProgress(): void {
    this.path.progress.store({
      nextSeq: this.#seq + 1,
      commitHead: this.#publisher.head,
      liveTail: 0,
      bulkTail: 0,
      own: new Float64Array(OWN_DOUBLES),
    });
  }

  async #until(isDone: () => boolean, what: string): Promise<void> {
    const done = Promise.withResolvers<void>();
    const look = () => {
      if (bell.watch(isDone)) done.resolve();
    };
    const bell = new BellWatch(this.ring.cursors, COMMIT_BELL_BACK, look);
    look();
    await bounded(done.promise, WAIT_MS_MAX, what);
  }
}
