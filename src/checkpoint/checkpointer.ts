/**
 * Decides when checkpoints are taken (by log written, and at a clean stop) and runs them, one at a
 * time, in a thread of their own. A checkpoint that fails costs nothing but the longer replay, and
 * is tried again. Main thread.
 */
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { HeldFolder } from '../log/held-files.ts';
import { LogProgress } from '../ring/progress.ts';
import { SLOT_BYTES } from '../ring/slot.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import type { CheckpointMessage, CheckpointThreadData } from './checkpoint-messages.ts';
import type { LogRetention } from './retention.ts';

const LOOK_EVERY_MS = 250;
const RETRY_AFTER_MS = 10_000;

export interface CheckpointerOptions {
  readonly memory: SharedMemory;
  readonly folder: string;
  readonly logFolder: string;
  /** The data folder that both lie in. */
  readonly held?: HeldFolder;
  /** Log written between two checkpoints. */
  readonly everyBytes: number;
  readonly retention: LogRetention;
  readonly logger: Logger;
}

const ENTRY = new URL('../../workers/checkpoint.ts', import.meta.url);

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #progress: LogProgress;
  #damaged: number[] = [];
  #look: NodeJS.Timeout | undefined;
  /** Seq up to which the last good checkpoint goes. */
  #coveredSeq = 1;
  #running: { readonly cancel: Int32Array; readonly ended: Promise<boolean> } | undefined;
  #notBeforeMs = 0;
  #taken = 0;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#progress = new LogProgress(options.memory.progress);
  }

  /** Checkpoints taken since the start. */
  get taken(): number {
    return this.#taken;
  }

  /** The start found this one damaged. */
  noteDamaged(replayFrom: number): void {
    this.#damaged.push(replayFrom);
  }

  /** The log is open; the store was restored from a checkpoint before `replayFrom`. */
  start(replayFrom: number): void {
    this.#coveredSeq = replayFrom;
    this.#look = setInterval(() => this.#takeIfDue(), LOOK_EVERY_MS).unref();
  }

  /** Takes one now, at full speed or paced; unless forced, only of something new. False if it failed. */
  async take(isPaced: boolean, isForced = false): Promise<boolean> {
    while (this.#running !== undefined) await this.#running.ended;
    if (!isForced && this.#unsavedEvents() <= 0) return true;
    const cancel = new Int32Array(new SharedArrayBuffer(4));
    const ended = this.#run(cancel, isPaced);
    this.#running = { cancel, ended };
    try {
      return await ended;
    } finally {
      this.#running = undefined;
    }
  }

  /** Takes no more by itself, and gives up a paced one that is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#look);
    await this.cancel();
  }

  /** Gives up the one that is under way. */
  async cancel(): Promise<void> {
    if (this.#running === undefined) return;
    Atomics.store(this.#running.cancel, 0, 1);
    Atomics.notify(this.#running.cancel, 0);
    await this.#running.ended;
  }

  #unsavedEvents(): number {
    return (this.#progress.load()?.nextSeq ?? 1) - this.#coveredSeq;
  }

  #takeIfDue(): void {
    if (this.#running !== undefined || performance.now() < this.#notBeforeMs) return;
    if (this.#unsavedEvents() * SLOT_BYTES < this.#options.everyBytes) return;
    void this.take(true);
  }

  async #run(cancel: Int32Array, isPaced: boolean): Promise<boolean> {
    const { memory, folder, logFolder, held, retention, logger } = this.#options;
    const workerData: CheckpointThreadData = {
      memory,
      folder,
      logFolder,
      held,
      retention,
      damaged: this.#damaged,
      isPaced,
      cancel: cancel.buffer as SharedArrayBuffer,
    };
    const message = await runThread(workerData);
    if (message.type === 'checkpoint') {
      const { type: _, ...done } = message;
      this.#coveredSeq = message.replayFrom;
      this.#damaged = this.#damaged.filter((seq) => seq !== message.replayFrom);
      this.#taken++;
      logger.info(
        done,
        `checkpoint: ${message.entries} products, replay from ${message.replayFrom}`,
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
      this.#notBeforeMs = performance.now() + RETRY_AFTER_MS;
      logger.error({ reason: message.reason }, 'checkpoint failed; the log still has everything');
    }
    return false;
  }
}

function runThread(workerData: CheckpointThreadData): Promise<CheckpointMessage> {
  return new Promise((resolve) => {
    const worker = new Worker(ENTRY, { workerData });
    worker.once('message', resolve);
    worker.once('error', (error) => resolve({ type: 'failed', reason: String(error) }));
    worker.once('exit', (code) =>
      resolve({ type: 'failed', reason: `its thread exited with code ${code}` }),
    );
  });
}
