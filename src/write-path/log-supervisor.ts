/**
 * Supervises the log thread: starts it, replaces it when it dies, passes on what it reports. The
 * successor goes on from the shared progress record; nothing that was claimed is lost. Main thread.
 */
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { TRUSTED_AHEAD_MS } from '../log/log-clock.ts';
import { INTAKE_DOORBELL, INTAKE_STOP, IntakeRing } from '../ring/intake-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import type { LogThreadMessage } from './log-messages.ts';
import type { LogSource } from './log-source.ts';

/** Deaths at the same event after which restarting is given up. */
const DEATHS_MAX = 5;
/** Before a companion is started again: one that can't run must not take the machine. */
const COMPANION_PAUSE_MS = 250;

export interface LogSupervisorOptions {
  readonly memory: SharedMemory;
  readonly source: LogSource;
  readonly logger: Logger;
  readonly onStorage: (available: boolean, reason: string) => void;
  /** How far a long start has come. */
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  /** Something of this name among the checkpoints was found damaged and passed over. */
  readonly onDamagedCheckpoint: (name: string) => void;
  /** The stream of a replicated log no longer has what this instance lacks. */
  readonly onOvertaken?: (reason: string) => void;
  /** The log can't go on while the service runs: the process must stop. Called at most once. */
  readonly onFatal: (reason: string) => void;
}

/** What a start brought back, and how long that took. */
export type Replayed = Omit<Extract<LogThreadMessage, { type: 'replayed' }>, 'type'>;

export class LogSupervisor {
  readonly #options: LogSupervisorOptions;
  readonly #intake: IntakeRing;
  readonly #serving = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<boolean>();
  /** None before `start`. */
  #worker: Worker | undefined;
  #companion: Worker | undefined;
  #done = false;
  #isTerminated = false;
  #served = false;
  /** Why events can't be stored, as was said last; none = they can. */
  #unavailable: string | undefined;
  #restarts = 0;
  #replayed: Replayed | undefined;
  #deaths = 0;
  #deathSeq = 0;
  #replayedFrom = 1;
  #isConverted = false;

  constructor(options: LogSupervisorOptions) {
    this.#options = options;
    this.#intake = new IntakeRing(options.memory.intake);
    // A start that fails is reported through `serving`; nobody has to listen to it, though.
    this.#serving.promise.catch(() => undefined);
  }

  /** Starts the thread. Call once. */
  start(): void {
    this.#spawnCompanion();
    this.#worker = this.#spawn();
  }

  /** Seq from which the log was replayed: the restored checkpoint's, or 1. */
  get replayedFrom(): number {
    return this.#replayedFrom;
  }

  /** Threads replaced since the start. */
  get restarts(): number {
    return this.#restarts;
  }

  /** What the start brought back; `undefined` until it has. */
  get replayed(): Replayed | undefined {
    return this.#replayed;
  }

  /** The thread, while there is one. */
  get worker(): Worker | undefined {
    return this.#worker;
  }

  /** Whether some products came from checkpoints of another form, key or number of shards. */
  get isConverted(): boolean {
    return this.#isConverted;
  }

  /** Resolves when the log is replayed and serves; rejects, with one line, when it refuses. */
  get serving(): Promise<void> {
    return this.#serving.promise;
  }

  /**
   * Asks the thread to finish: make durable what is claimed, seal the log, close the commit ring.
   * Resolves when it has; false if it had to give up on claimed events.
   */
  stop(): Promise<boolean> {
    Atomics.store(this.#intake.cursors, INTAKE_STOP, 1);
    this.wake();
    return this.#closed.promise;
  }

  /** Lets the thread look around although no event came. */
  wake(): void {
    const { cursors } = this.#intake;
    Atomics.add(cursors, INTAKE_DOORBELL, 1);
    Atomics.notify(cursors, INTAKE_DOORBELL);
  }

  /** Ends the thread wherever it is, for good. */
  async terminate(): Promise<void> {
    this.#done = true;
    this.#isTerminated = true;
    await this.#worker?.terminate();
    await this.#companion?.terminate();
    this.#closed.resolve(false);
  }

  /** The log's other thread: whatever it had in hand, the log thread asks its successor for again. */
  #spawnCompanion(): void {
    const { memory, source, logger } = this.#options;
    if (source.companion === undefined || this.#isTerminated) return;
    const { entry, data, name } = source.companion;
    const worker = new Worker(entry, { workerData: { ...data, memory }, name });
    this.#companion = worker;
    worker.on('error', (error) => logger.error({ err: error }, `${name} thread died`));
    worker.on('exit', () => {
      if (!this.#isTerminated) setTimeout(() => this.#spawnCompanion(), COMPANION_PAUSE_MS);
    });
  }

  #spawn(): Worker {
    const { memory, source } = this.#options;
    const workerData = { ...source.data, memory };
    const worker = new Worker(source.entry, { workerData, name: 'log' });
    let cause: unknown;
    worker.on('message', (message: LogThreadMessage) => this.#onMessage(message));
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      if (!this.#done) this.#died(cause ?? new Error(`log thread exited with code ${code}`));
    });
    return worker;
  }

  #onMessage(message: LogThreadMessage): void {
    const { logger, onStorage } = this.#options;
    switch (message.type) {
      case 'torn-tail': {
        const { type: _, ...tail } = message;
        logger.warn(tail, `log: cut a torn tail of ${tail.bytes} bytes (${tail.reason})`);
        break;
      }
      case 'progress': {
        const { type: _, ...progress } = message;
        logger.info(progress, `log: replayed ${percent(message)} %`);
        this.#options.onProgress(message.doneBytes, message.totalBytes);
        break;
      }
      case 'checkpoint-damaged': {
        const { type: _, ...fault } = message;
        logger.error(fault, 'checkpoint is damaged, using an older one or the whole log');
        this.#options.onDamagedCheckpoint(message.name);
        break;
      }
      case 'replayed': {
        const { type: _, ...replay } = message;
        this.#replayed = replay;
        this.#replayedFrom = replay.replayFrom;
        this.#isConverted = replay.converted > 0;
        logger.info(
          replay,
          `log: restored ${replay.products} products and replayed ${replay.events} events`,
        );
        break;
      }
      case 'clock-behind':
        logger.warn(...behindLine(message.lastTimeMs, message.behindMs));
        break;
      case 'serving':
        this.#served = true;
        this.#serving.resolve();
        break;
      case 'storage':
        if (message.available && this.#unavailable === undefined) break;
        if (!message.available && message.reason === this.#unavailable) break;
        this.#unavailable = message.available ? undefined : message.reason;
        if (message.available) logger.info('log: storage is available again');
        else logger.error({ reason: message.reason }, 'log: storage unavailable, retrying');
        onStorage(message.available, message.reason);
        break;
      case 'overtaken':
        this.#options.onOvertaken?.(message.reason);
        break;
      case 'void':
        logger.debug({ position: message.position }, `log: void in the stream: ${message.reason}`);
        break;
      case 'refused':
        this.#end(message.reason);
        break;
      case 'closed':
        this.#done = true;
        this.#serving.reject(new Error('stopped before the log was replayed'));
        this.#closed.resolve(message.clean);
        break;
    }
  }

  #died(cause: unknown): void {
    const { memory, logger } = this.#options;
    logger.error({ err: cause }, 'log thread died');
    const seq = new LogProgress(memory.progress).load()?.nextSeq ?? 0;
    this.#deaths = seq === this.#deathSeq ? this.#deaths + 1 : 1;
    this.#deathSeq = seq;
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (!this.#served) this.#end(`the log thread died at start: ${reason}`);
    else if (this.#deaths >= DEATHS_MAX)
      this.#end(`the log thread dies again and again: ${reason}`);
    else {
      this.#restarts++;
      this.#worker = this.#spawn();
    }
  }

  #end(reason: string): void {
    this.#done = true;
    this.#closed.resolve(false);
    if (this.#served) this.#options.onFatal(reason);
    else this.#serving.reject(new Error(reason));
  }
}

function behindLine(lastTimeMs: number, behindMs: number): [object, string] {
  const lastTime = new Date(lastTimeMs).toISOString();
  const goesOn =
    behindMs <= TRUSTED_AHEAD_MS
      ? "the log's time stands still until the clock has caught up"
      : 'the log goes on with the clock, because it must have been wrong before';
  const seconds = Math.round(behindMs / 1000);
  return [
    { lastTime, behindMs },
    `clock: it is ${seconds} s behind the log's last event (${lastTime}); ${goesOn}`,
  ];
}

function percent({ doneBytes, totalBytes }: { doneBytes: number; totalBytes: number }): number {
  return totalBytes === 0 ? 100 : Math.floor((doneBytes / totalBytes) * 100);
}
