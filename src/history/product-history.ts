/**
 * The history as the main thread has it: its two threads, what they are asked, and how far it is. One thread
 * follows the events into it, one answers from it; neither makes anybody wait but who asks.
 */
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { within } from '../deadline.ts';
import type { HeldFolder } from '../log/held-files.ts';
import type { Hold, LogHolds } from '../log/log-holds.ts';
import { SeqWatch } from '../ring/seq-watch.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { HistoryControl } from './history-control.ts';
import type { DeskAnswer } from './history-desk.ts';
import type {
  HistoryAnswers,
  HistoryAsk,
  HistoryDeskData,
  HistoryReport,
  HistoryThreadData,
  Placed,
} from './history-messages.ts';
import type { HistoryTarget } from './history-store.ts';

const FOLLOWER = new URL('../../workers/history.ts', import.meta.url);
const READER = new URL('../../workers/history-reader.ts', import.meta.url);
/** How often the log learns what the history still needs. */
const HOLD_MS = 500;
/** How much log it may keep while it is behind. */
const HOLD_BYTES_MAX = 4 * 1024 ** 3;
/** Before a thread that died is started again. */
const RESTART_MS = 1000;

/** The history can't answer now: it can't be read, or it is ending. */
export class HistoryUnavailableError extends Error {
  override readonly name = 'HistoryUnavailableError';
}

export interface ProductHistoryOptions {
  readonly memory: SharedMemory;
  /** Where it is kept; asked at the start. Throws what the file system throws. */
  readonly target: () => HistoryTarget;
  /** Places of products forgotten up to this seq were freed; asked at the start. */
  readonly freedUntil: () => number;
  readonly logFolder: string;
  readonly held: HeldFolder;
  readonly holds: LogHolds;
  readonly outcomeEvents: number;
  /** How long values are kept; `undefined` = for ever. */
  readonly keepMs: number | undefined;
  readonly logger: Logger;
}

interface Waiting {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

export class ProductHistory {
  /** Which events are in it. */
  readonly progress: SeqWatch;
  readonly #options: ProductHistoryOptions;
  readonly #buffer = HistoryControl.create();
  readonly #control = new HistoryControl(this.#buffer);
  readonly #hold: Hold;
  readonly #waiting = new Map<number, Waiting>();
  #tickets = 0;
  #holding: NodeJS.Timeout | undefined;
  #follower: Worker | undefined;
  /** `undefined` while none runs. */
  #reader: Worker | undefined;
  #followerEnded = Promise.resolve();
  #freedUntil = 0;
  #isEnding = false;

  /** From here on the log keeps what the history has not got. */
  constructor(options: ProductHistoryOptions) {
    this.#options = options;
    this.#hold = options.holds.hold(1, HOLD_BYTES_MAX);
    this.progress = new SeqWatch(
      this.#control.words,
      this.#control.bell,
      () => this.#control.place,
    );
  }

  /** How far it is (history-control.ts), for threads that look themselves. */
  get control(): SharedArrayBuffer {
    return this.#buffer;
  }

  /** Starts its threads. Once the log is replayed. */
  start(): void {
    const target = this.#options.target();
    this.#freedUntil = this.#options.freedUntil();
    this.#startFollower(target);
    this.#startReader(target);
    this.#holding = setInterval(() => {
      if (this.#control.flushed > 0) this.#hold.advance(this.#control.flushed + 1);
    }, HOLD_MS);
  }

  /** When it last had everything that was applied, ms since 1970; 0 = never yet. */
  get caughtUpMs(): number {
    return this.#control.caughtUpMs;
  }

  /** Whether another instance of the cluster writes it. */
  get isStandingBy(): boolean {
    return this.#control.isStandingBy;
  }

  /** How often it could not be written. */
  get failures(): number {
    return this.#control.failures;
  }

  /** Asks the reading thread. Rejects with HistoryUnavailableError. */
  ask<K extends HistoryAsk['kind']>(
    ask: HistoryAsk & { readonly kind: K },
  ): Promise<Placed<HistoryAnswers[K]>> {
    const reader = this.#reader;
    if (reader === undefined)
      return Promise.reject(new HistoryUnavailableError('its thread does not run'));
    const ticket = this.#tickets++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(ticket, { resolve, reject });
      reader.postMessage({ ticket, ask });
    });
  }

  /**
   * Writes what is applied and ends; what is not written after `timeoutMs` is for the next start. Resolves
   * always.
   */
  async stop(timeoutMs: number): Promise<void> {
    this.#isEnding = true;
    clearInterval(this.#holding);
    this.#control.stop();
    await within(timeoutMs, this.#followerEnded);
    await Promise.all([this.#follower?.terminate(), this.#reader?.terminate()]);
    this.#rejectAll('the service is stopping');
    this.progress.dispose();
    this.#hold.end();
  }

  #startFollower(target: HistoryTarget): void {
    const { memory, logFolder, held, outcomeEvents, keepMs, logger } = this.#options;
    const workerData: HistoryThreadData = {
      memory,
      control: this.#buffer,
      target,
      logFolder,
      held,
      outcomeEvents,
      keepMs,
      freedUntil: this.#freedUntil,
    };
    const worker = new Worker(FOLLOWER, { workerData, name: 'history' });
    worker.on('message', ({ level, text }: HistoryReport) => logger[level](`history: ${text}`));
    this.#follower = worker;
    this.#followerEnded = this.#ended(worker, () => this.#startFollower(target));
  }

  #startReader(target: HistoryTarget): void {
    const workerData: HistoryDeskData = { control: this.#buffer, target };
    const worker = new Worker(READER, { workerData, name: 'history-reader' });
    worker.on('message', ({ ticket, answer, error }: DeskAnswer) => {
      const waiting = this.#waiting.get(ticket);
      this.#waiting.delete(ticket);
      if (error === undefined) waiting?.resolve(answer as never);
      else waiting?.reject(new HistoryUnavailableError(error));
    });
    this.#reader = worker;
    void this.#ended(worker, () => this.#startReader(target));
  }

  /** Resolves when `worker` has ended; one that died is replaced after a while. */
  #ended(worker: Worker, again: () => void): Promise<void> {
    const { logger } = this.#options;
    worker.on('error', (error) => {
      if (!this.#isEnding)
        logger.error({ err: error }, `history: the thread ${worker.threadName} died`);
    });
    return new Promise((resolve) => {
      worker.once('exit', () => {
        resolve();
        if (worker === this.#reader) {
          this.#reader = undefined;
          this.#rejectAll('its thread died');
        }
        if (this.#isEnding) return;
        setTimeout(() => {
          if (!this.#isEnding) again();
        }, RESTART_MS).unref();
      });
    });
  }

  #rejectAll(reason: string): void {
    for (const { reject } of this.#waiting.values()) reject(new HistoryUnavailableError(reason));
    this.#waiting.clear();
  }
}
