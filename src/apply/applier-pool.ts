/**
 * Supervises the appliers: one endless task for each in a Piscina pool of their own. A thread that
 * dies is replaced and goes on from its cursor; an event that kills its applier a second time is
 * dead and skipped, so that one poisonous event can't stop the rest. Main thread.
 *
 * So is an event that finds no room: the admission reserves some for each event that comes in here, but
 * not for those that the log has from another instance. It takes what the shards have beyond the
 * admission's bound, and is dead when that is used up. While the log is replayed the start is refused
 * instead: MAX_MEMORY_USAGE is too small, and nothing of the log may be left out.
 */
import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { Piscina } from 'piscina';
import type { HeldFolder } from '../log/held-files.ts';
import { CommitRing, commitCursor } from '../ring/commit-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import { describeSlot, type SlotContent } from '../ring/slot.ts';
import { NoRoomError } from '../store/no-room-error.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { ApplierControl } from './applier-control.ts';
import type { ApplierEnd, ApplierTask } from './applier-task.ts';
import { DeadSeqs } from './dead-seqs.ts';

/** Deaths without any progress in between after which restarting is given up. */
const IDLE_DEATHS_MAX = 5;

export interface ApplierPoolOptions {
  readonly memory: SharedMemory;
  /** Module whose default export runs an ApplierTask; workers/applier.ts but in tests. */
  readonly entry: URL;
  readonly logger: Logger;
  /** Folder of the checkpoints, whose restoring they help with; `undefined` = they do not. */
  readonly checkpoints?: string;
  /** The data folder that it lies in. */
  readonly held?: HeldFolder;
  /** An event is dead: its applier's successor skips it. */
  readonly onDead?: ((content: SlotContent, reason: string) => void) | undefined;
  /** An applier can't go on: the process must stop. Called at most once. */
  readonly onFatal: (reason: string) => void;
}

type Pool = Piscina<ApplierTask, ApplierEnd>;

/** An event that an applier did not finish, and where it stands in the ring. */
interface Suspect {
  readonly cursor: number;
  readonly content: SlotContent;
}

const NO_ROOM = 'the store has no room for its product; raise MAX_MEMORY_USAGE';

export class ApplierPool {
  readonly #options: ApplierPoolOptions;
  readonly #ring: CommitRing;
  readonly #progress: LogProgress;
  /** None before `start`. */
  #pool: Pool | undefined;
  #finished: Promise<unknown> = Promise.resolve();
  #deadEvents: SlotContent[] = [];
  #deadCount = 0;
  readonly #deadSeqs: DeadSeqs;
  #restarts = 0;
  /** Threads that died before they could take a task, since the last one that could. */
  #unbornDeaths = 0;
  #fatal = false;
  #terminating = false;

  constructor(options: ApplierPoolOptions) {
    this.#options = options;
    const { memory } = options;
    this.#ring = new CommitRing(memory.commit, memory.appliers.length);
    this.#progress = new LogProgress(memory.progress);
    this.#deadSeqs = new DeadSeqs(memory.dead);
  }

  /** Starts all appliers. What was published before waits for them in the ring. Call once. */
  start(): void {
    const { memory, entry, logger } = this.#options;
    const threads = memory.appliers.length;
    const pool: Pool = new Piscina({
      filename: entry.href,
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      // The tasks are endless: there is never a next one to wait for between two of them.
      atomics: 'disabled',
      recordTiming: false,
    });
    pool.on('error', (error) => logger.error({ err: error }, 'applier pool'));
    pool.on('workerCreate', () => {
      this.#unbornDeaths = 0;
    });
    pool.on('workerDestroy', () => queueMicrotask(() => this.#replaceUnborn(pool)));
    this.#pool = pool;
    this.#finished = Promise.all(memory.appliers.map((_, index) => this.#supervise(pool, index)));
  }

  /**
   * Resolves when every applier has applied all that was published before the ring was closed; at
   * once if none was started.
   */
  async finished(): Promise<void> {
    await this.#finished;
  }

  /** Dead events since the start. */
  get deadCount(): number {
    return this.#deadCount;
  }

  /** The last of them, oldest first. */
  get deadEvents(): readonly SlotContent[] {
    return this.#deadEvents;
  }

  /** Applier threads replaced since the start. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Its threads, in no order. */
  get threads(): readonly Worker[] {
    return this.#pool?.threads ?? [];
  }

  /** Ends the threads wherever they are, and the pool. */
  async terminate(): Promise<void> {
    this.#terminating = true;
    await this.#pool?.destroy();
  }

  async #supervise(pool: Pool, index: number): Promise<void> {
    const { memory, logger, checkpoints, held } = this.#options;
    let lastSuspect: number | undefined;
    let lastCursor: number | undefined;
    let idleDeaths = 0;
    while (!this.#terminating) {
      try {
        const end = await pool.run({ memory, index, checkpoints, held });
        if (end === 'closed') return;
        if (this.#isReplaying) {
          this.#stopProcess(new NoRoomError().message);
          return;
        }
        const homeless = this.#suspect(
          index,
          Atomics.load(this.#ring.cursors, commitCursor(index)),
        );
        if (homeless !== undefined) this.#declareDead(index, homeless, NO_ROOM);
      } catch (error) {
        if (this.#terminating) return;
        this.#restarts++;
        const cursor = Atomics.load(this.#ring.cursors, commitCursor(index));
        const suspect = this.#suspect(index, cursor);
        logger.error({ err: error, applier: index, suspect: suspect?.content }, 'applier died');
        if (suspect !== undefined && suspect.cursor === lastSuspect) {
          this.#declareDead(index, suspect, 'it killed its applier twice');
          lastSuspect = undefined;
        } else if (suspect !== undefined) {
          lastSuspect = suspect.cursor;
        }
        idleDeaths = suspect === undefined && cursor === lastCursor ? idleDeaths + 1 : 0;
        lastCursor = cursor;
        if (idleDeaths >= IDLE_DEATHS_MAX) {
          this.#stopProcess(`applier ${index} dies whenever it is started`);
          return;
        }
      }
    }
  }

  /**
   * Piscina never replaces a thread that dies while it starts, and the task that waits for it would
   * wait for ever. One more task makes it add a thread, and is taken back before that can run it.
   */
  #replaceUnborn(pool: Pool): void {
    const { memory, logger } = this.#options;
    const isMissing = pool.threads.length < memory.appliers.length;
    if (this.#terminating || !isMissing || pool.queueSize === 0) return;
    this.#unbornDeaths++;
    this.#restarts++;
    logger.error('applier thread died while it started');
    if (this.#unbornDeaths >= IDLE_DEATHS_MAX) {
      this.#stopProcess('applier threads die while they start');
      return;
    }
    const nudge = new AbortController();
    pool.run({ memory, index: 0 }, { signal: nudge.signal }).catch(() => undefined);
    nudge.abort();
  }

  /** The event an applier died on, if it was on one that it had not finished. */
  #suspect(index: number, cursor: number): Suspect | undefined {
    const control = new ApplierControl(this.#options.memory.appliers[index]);
    const at = control.diedOn();
    // Said once: a successor that dies before it comes to the slot did not die on it.
    control.end();
    if (at === undefined || ((at - cursor) | 0) < 0) return undefined;
    return { cursor: at, content: describeSlot(this.#ring.slots, at & this.#ring.mask) };
  }

  /** A log is opened only when all that it held before is applied. */
  get #isReplaying(): boolean {
    return this.#progress.loadPlace() === undefined;
  }

  #declareDead(index: number, { cursor, content }: Suspect, reason: string): void {
    const { memory, logger } = this.#options;
    this.#deadSeqs.add(content.seq);
    new ApplierControl(memory.appliers[index]).orderSkip(cursor);
    this.#deadCount++;
    this.#deadEvents = [...this.#deadEvents.slice(-99), content];
    logger.error({ applier: index, event: content }, `event dead: ${reason}`);
    this.#options.onDead?.(content, reason);
  }

  #stopProcess(reason: string): void {
    if (this.#fatal) return;
    this.#fatal = true;
    this.#options.onFatal(reason);
  }
}
