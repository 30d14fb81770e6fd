/**
 * Decides when parts of the checkpoint are written anew (by the log behind them, and at a clean stop)
 * and has that done, one round at a time, in a thread of its own. A round that fails, or is given up,
 * costs nothing but the longer replay: what it finished counts, and the next one goes on with the rest.
 * Main thread.
 *
 * When: a round begins when CHECKPOINT_EVERY would be exceeded before it could be done, and writes the
 * parts with at least half of that behind them. So parts that were written one after the other come due
 * one after the other; and each is written once for 0.5 to 1 times CHECKPOINT_EVERY of log.
 * (Over 300 lines: who wants a round, and what becomes of one, is one state.)
 */
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { LogRetention } from '../log/event-log.ts';
import type { HeldFolder } from '../log/held-files.ts';
import { LogProgress } from '../ring/progress.ts';
import { SLOT_BYTES } from '../ring/slot.ts';
import { ENTRY_BYTES, SHARD_USED } from '../store/shard.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import type { CheckpointMessage, CheckpointThreadData } from './checkpoint-messages.ts';
import { LogRate } from './log-rate.ts';
import { PACE_BUSY, PACE_CANCEL, PACE_WORDS } from './pace.ts';

const LOOK_EVERY_MS = 250;
const RETRY_AFTER_MS = 10_000;
/** A round begins with this much of CHECKPOINT_EVERY behind the furthest part, however fast it is. */
const DUE_SHARE = 0.75;
/** Parts that have less than this share of it behind them are left as they are. */
const STALE_SHARE = 0.5;
/** What is thought of the disk until it is known, bytes in a second. */
const SPEED_DEFAULT = 100e6;
/** A round works at least as long as it rests when it must. */
const ROUND_SHARE = 0.5;
/** The bound counts as missed beyond this, and is reported that often. */
const MISSED_SHARE = 1.5;
const MISSED_EVERY_MS = 60_000;
/** Share of the time from which on the main thread counts as busy. */
const BUSY_SHARE = 0.1;
/** A goal that every part is behind. */
const FORCED = Number.POSITIVE_INFINITY;

export interface CheckpointerOptions {
  readonly memory: SharedMemory;
  readonly folder: string;
  readonly logFolder: string;
  /** The thread's module, and what it is given besides, for a log that is not in `logFolder`. */
  readonly otherLog?: { readonly entry: URL; readonly data: object } | undefined;
  /** The data folder that both lie in. */
  readonly held?: HeldFolder;
  /** Log written between two states of a part. */
  readonly everyBytes: number;
  readonly retention: LogRetention;
  readonly logger: Logger;
}

const ENTRY = new URL('../../workers/checkpoint.ts', import.meta.url);

/** A round, as it ended. */
export interface FinishedRound {
  /** Ms since the epoch. */
  readonly atMs: number;
  /** Written. */
  readonly bytes: number;
  readonly durationMs: number;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #progress: LogProgress;
  readonly #rate = new LogRate();
  #damaged: string[] = [];
  #look: NodeJS.Timeout | undefined;
  /** A start would replay from this seq. */
  #coveredSeq = 1;
  /** Likewise, from whichever state of the two that are kept; 1 = not known. */
  #twiceCoveredSeq = 1;
  /** The store came from files that the next start had better not read again. */
  #isConverting = false;
  #running: { readonly control: Int32Array; readonly ended: Promise<boolean> } | undefined;
  #notBeforeMs = 0;
  /** Of the event loop, at the last look. */
  #utilization = performance.eventLoopUtilization();
  #isBusy = false;
  #missedMs = Number.NEGATIVE_INFINITY;
  /** Of the last round, while it worked. */
  #bytesPerSecond: number | undefined;
  #rounds = 0;
  #failed = 0;
  #last: FinishedRound | undefined;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#progress = new LogProgress(options.memory.progress);
  }

  /** Rounds finished since the start. */
  get rounds(): number {
    return this.#rounds;
  }

  /** Rounds that failed; those given up are none. */
  get failed(): number {
    return this.#failed;
  }

  /** The last round that was finished. */
  get last(): FinishedRound | undefined {
    return this.#last;
  }

  /** Events that a start would have to replay now. */
  get unsavedEvents(): number {
    return (this.#progress.load()?.nextSeq ?? 1) - this.#coveredSeq;
  }

  /**
   * No start replays anything before this seq, whichever state of the two that are kept of each part it
   * takes; 1 = that is not known yet.
   */
  get twiceCoveredSeq(): number {
    return this.#twiceCoveredSeq;
  }

  /** Whether a round is under way. */
  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** The start found the part, windows or checkpoint of this name damaged. */
  noteDamaged(name: string): void {
    this.#damaged.push(name);
  }

  /**
   * The log is open; the store was restored so that replay started at `replayFrom`, and `isConverting`
   * if that took reading files of an older form, another key or number of shards.
   */
  start(replayFrom: number, isConverting = false): void {
    this.#coveredSeq = replayFrom;
    this.#isConverting = isConverting;
    this.#look = setInterval(() => this.#runIfDue(), LOOK_EVERY_MS).unref();
  }

  /**
   * Writes all parts that are not of this moment, at full speed or paced; if forced, whatever is there.
   * False if that failed or was given up; then what was finished counts all the same.
   */
  async runRound(isPaced: boolean, isForced = false): Promise<boolean> {
    while (this.#running !== undefined) await this.#running.ended;
    if (!isForced && this.unsavedEvents <= 0 && !this.#isConverting) return true;
    return await this.#begin(isPaced, isForced ? FORCED : this.#progress.loadNextSeq());
  }

  /** Takes no more by itself, and gives up a round that is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#look);
    await this.cancel();
  }

  /** Gives up the round that is under way; the parts that it finished stay. */
  async cancel(): Promise<void> {
    if (this.#running === undefined) return;
    Atomics.store(this.#running.control, PACE_CANCEL, 1);
    Atomics.notify(this.#running.control, PACE_CANCEL);
    await this.#running.ended;
  }

  async #begin(isPaced: boolean, goal: number): Promise<boolean> {
    const control = new Int32Array(new SharedArrayBuffer(PACE_WORDS * 4));
    control[PACE_BUSY] = this.#isBusy ? 1 : 0;
    const ended = this.#run(control, isPaced, goal);
    this.#running = { control, ended };
    try {
      return await ended;
    } finally {
      this.#running = undefined;
    }
  }

  #runIfDue(): void {
    const { everyBytes } = this.#options;
    const nextSeq = this.#progress.loadNextSeq();
    this.#rate.note(nextSeq, performance.now());
    const behindBytes = this.unsavedEvents * SLOT_BYTES;
    this.#reportMissed(behindBytes);
    this.#noteBusy();
    if (this.#running !== undefined || performance.now() < this.#notBeforeMs) return;
    if (this.#isConverting) {
      void this.#begin(true, nextSeq);
      return;
    }
    const staleBytes = everyBytes * STALE_SHARE;
    if (behindBytes < staleBytes) return;
    const dueBytes = everyBytes - this.#rate.bytesPerSecond * this.#roundSeconds;
    if (behindBytes < Math.min(dueBytes, everyBytes * DUE_SHARE)) return;
    void this.#begin(true, nextSeq - Math.floor(staleBytes / SLOT_BYTES));
  }

  /** Lets the round under way know whether requests keep this thread busy. */
  #noteBusy(): void {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization);
    this.#utilization = now;
    this.#isBusy = utilization >= BUSY_SHARE;
    const control = this.#running?.control;
    if (control !== undefined) Atomics.store(control, PACE_BUSY, this.#isBusy ? 1 : 0);
  }

  /** How long a round over all parts takes when it must. */
  get #roundSeconds(): number {
    const bytesPerSecond = (this.#bytesPerSecond ?? SPEED_DEFAULT) * ROUND_SHARE;
    let entries = 0;
    for (const shard of this.#options.memory.shards) {
      entries += Atomics.load(new Int32Array(shard, 0, SHARD_USED + 1), SHARD_USED);
    }
    return (entries * ENTRY_BYTES) / bytesPerSecond;
  }

  #reportMissed(behindBytes: number): void {
    const { everyBytes, logger } = this.#options;
    if (behindBytes < everyBytes * MISSED_SHARE) return;
    if (performance.now() - this.#missedMs < MISSED_EVERY_MS) return;
    this.#missedMs = performance.now();
    const logBytesPerSecond = Math.round(this.#rate.bytesPerSecond);
    logger.warn(
      { behindBytes, everyBytes, logBytesPerSecond, roundSeconds: this.#roundSeconds },
      'checkpoints: more log behind them than CHECKPOINT_EVERY; a start now would replay it',
    );
  }

  async #run(control: Int32Array, isPaced: boolean, goal: number): Promise<boolean> {
    const { memory, folder, logFolder, held, everyBytes, retention, logger } = this.#options;
    const { otherLog } = this.#options;
    const workerData: CheckpointThreadData = {
      ...otherLog?.data,
      memory,
      folder,
      logFolder,
      held,
      retention,
      damaged: this.#damaged,
      goal,
      coveredSeq: this.#coveredSeq,
      everyBytes,
      logBytesPerSecond: this.#rate.bytesPerSecond,
      bytesPerSecond: this.#bytesPerSecond,
      isPaced,
      control: control.buffer as SharedArrayBuffer,
    };
    const entry = otherLog?.entry ?? ENTRY;
    const message = await runThread(entry, workerData, ({ name, replayFrom }) => {
      this.#coveredSeq = replayFrom;
      // It was replaced.
      this.#damaged = this.#damaged.filter((damaged) => damaged !== name);
    });
    if (message.type === 'checkpoint') {
      const { type: _, ...done } = message;
      this.#coveredSeq = message.replayFrom;
      this.#twiceCoveredSeq = Math.max(this.#twiceCoveredSeq, message.twiceCoveredSeq);
      this.#isConverting = false;
      this.#bytesPerSecond = message.bytesPerSecond;
      this.#rounds++;
      const { bytes, durationMs } = message;
      this.#last = { atMs: Date.now(), bytes, durationMs };
      logger.info(
        done,
        `checkpoint: ${message.entries} products in ${message.parts} parts, replay from ${message.replayFrom}`,
      );
      const { futureSegments = 0 } = message.removed;
      if (futureSegments > 0) {
        logger.warn(
          { futureSegments },
          `clock: ${futureSegments} segments of the log come from its future; LOG_RETENTION takes ` +
            'each for as old as the next one that does not',
        );
      }
      return true;
    }
    if (message.type === 'failed') {
      this.#failed++;
      this.#notBeforeMs = performance.now() + RETRY_AFTER_MS;
      logger.error({ reason: message.reason }, 'checkpoint failed; the log still has everything');
    }
    return false;
  }
}

type PartMessage = Extract<CheckpointMessage, { type: 'part' }>;
type EndMessage = Exclude<CheckpointMessage, { type: 'part' }>;

/** Never rejects: where there are no more threads to be had, the constructor throws. */
function runThread(
  entry: URL,
  workerData: CheckpointThreadData,
  onPart: (part: PartMessage) => void,
): Promise<EndMessage> {
  return new Promise<EndMessage>((resolve) => {
    const worker = new Worker(entry, { workerData, name: 'checkpoint' });
    worker.on('message', (message: CheckpointMessage) => {
      if (message.type === 'part') onPart(message);
      else resolve(message);
    });
    worker.once('error', (error) => resolve({ type: 'failed', reason: String(error) }));
    worker.once('exit', (code) =>
      resolve({ type: 'failed', reason: `its thread exited with code ${code}` }),
    );
  }).catch((error: unknown) => ({ type: 'failed', reason: String(error) }));
}
