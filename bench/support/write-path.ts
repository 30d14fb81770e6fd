/** The service's write path without HTTP, on the files of a folder. For benches; main thread. */
import { type Logger, pino } from 'pino';
import { Checkpointer } from '../../src/checkpoint/checkpointer.ts';
import type { EventIntake, EventWaiter } from '../../src/intake/event-intake.ts';
import type { RingIntake } from '../../src/intake/ring-intake.ts';
import { DataDir } from '../../src/log/data-dir.ts';
import type { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { planStore } from '../../src/store/sizing.ts';
import type { SharedMemory } from '../../src/threads/shared-memory.ts';
import { fileLog } from '../../src/write-path/log-source.ts';
import { WritePath } from '../../src/write-path/write-path.ts';
import type { EventStream } from './event-stream.ts';

export interface BenchPathOptions {
  /** Becomes a DATA_DIR: the log goes to `log` in here. */
  readonly folder: string;
  readonly appliers: number;
  readonly queueSize: number;
  readonly storeBytes: number;
  readonly shards?: number;
  /** Hears of checkpoints; without it only warnings are shown. */
  readonly logger?: Logger;
}

const SHARDS_DEFAULT = 16;
export const SEGMENT_BYTES_MAX = 64 * 2 ** 20;
const STORAGE_TIMEOUT_MS = 30_000;

export class BenchPath {
  readonly memory: SharedMemory;
  readonly store: SharedProductStore;
  readonly intake: RingIntake;
  readonly logFolder: string;
  /** Takes none by itself, and keeps no more log than two of them need. */
  readonly checkpoints: Checkpointer;
  readonly #path: WritePath;
  readonly #dataDir: DataDir;
  readonly #queueSize: number;
  readonly #failed = Promise.withResolvers<never>();

  private constructor(options: BenchPathOptions) {
    const {
      folder,
      appliers,
      queueSize,
      storeBytes,
      shards = SHARDS_DEFAULT,
      logger = pino({ level: 'warn' }),
    } = options;
    this.#queueSize = queueSize;
    this.#dataDir = DataDir.open(folder);
    const { logFolder, checkpointFolder } = this.#dataDir;
    this.logFolder = logFolder;
    this.#failed.promise.catch(() => undefined);
    this.#path = new WritePath(
      {
        queueSize,
        appliers,
        store: planStore(storeBytes, shards),
        storageTimeoutMs: STORAGE_TIMEOUT_MS,
        log: fileLog(this.#dataDir, SEGMENT_BYTES_MAX),
        logger,
      },
      {
        onStorage: (available, reason) => {
          if (!available) this.#failed.reject(new Error(reason));
        },
        onFatal: (reason) => this.#failed.reject(new Error(reason)),
      },
    );
    const { memory, store, intake } = this.#path;
    this.memory = memory;
    this.store = store;
    this.intake = intake;
    this.checkpoints = new Checkpointer({
      memory,
      folder: checkpointFolder,
      logFolder,
      everyBytes: Number.POSITIVE_INFINITY,
      retention: { bytes: 0 },
      logger,
    });
  }

  /** Starts the threads; resolves when events are taken. */
  static async start(options: BenchPathOptions): Promise<BenchPath> {
    const bench = new BenchPath(options);
    bench.#path.start();
    await bench.#path.ready;
    bench.#path.open();
    return bench;
  }

  /**
   * Sends the next `events` of the stream and resolves when all of them are durable. It keeps the
   * queue between half full and full: a producer that is notified of every half of it.
   */
  async send(stream: EventStream, events: number): Promise<void> {
    const half = Math.max(1, this.#queueSize >> 1);
    const sent: Promise<void>[] = [];
    for (let left = events; left > 0; left -= half) {
      sent.push(offerAll(this.intake, stream, Math.min(half, left)));
      if (sent.length === 2) await this.#orFailed(sent.shift() as Promise<void>);
    }
    await this.#orFailed(Promise.all(sent));
  }

  /** Resolves when everything that is durable is applied. */
  async applied(): Promise<void> {
    const { watermark, progress } = this.#path;
    const applied = Promise.withResolvers<void>();
    watermark.whenApplied(progress.loadNextSeq() - 1, applied.resolve);
    await this.#orFailed(applied.promise);
  }

  /** Seals the log and resolves when everything in it is applied. */
  async finish(): Promise<void> {
    await this.#orFailed(this.#path.drain());
    if (!(await this.#orFailed(this.#path.finish()))) throw new Error('the log gave up on events');
  }

  /** Ends the threads. */
  async dispose(): Promise<void> {
    await this.#path.terminate();
    this.#dataDir.close();
  }

  #orFailed<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed.promise]);
  }
}

/** Offers `count` ≥ 1 events, for which there is room; resolves when the last one is durable. */
function offerAll(intake: EventIntake, stream: EventStream, count: number): Promise<void> {
  const last = Promise.withResolvers<void>();
  const waiter: EventWaiter = {
    durable: () => last.resolve(),
    conflict: () => last.reject(new Error('an event met a conflict')),
    failed: (outcome) => last.reject(new Error(`an event failed, outcome ${outcome}`)),
  };
  for (let i = 1; i <= count; i++) {
    const offer = intake.offer(stream.next(), i === count ? waiter : undefined);
    if (offer !== 'queued') throw new Error(`an offer was answered ${offer}`);
  }
  return last.promise;
}
