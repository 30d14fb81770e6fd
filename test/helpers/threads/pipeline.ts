/**
 * The whole way of an event without HTTP: intake, the real log thread on a folder, the real pool of
 * appliers, the store. Tests only.
 */
import { pino } from 'pino';
import type { Test } from 'tap';
import type { ProductEvent } from '../../../src/event/product-event.ts';
import { DataDir } from '../../../src/log/data-dir.ts';
import type { FolderGuard } from '../../../src/log/folder-guard.ts';
import { planStore } from '../../../src/store/sizing.ts';
import { fileLog } from '../../../src/write-path/log-source.ts';
import type { ProducerOptions } from '../../../src/write-path/producer.ts';
import { WritePath } from '../../../src/write-path/write-path.ts';
import { bounded } from '../bounded.ts';
import { ServiceThreads } from './service-threads.ts';

const QUEUE_SIZE = 500;
const DEDUPE_EVENTS = 50_000;
const SHARDS = 8;
const STORE_BYTES = 4 << 20;
const WAIT_MS_MAX = 60_000;

export interface PipelineOptions {
  readonly dataDir: string;
  readonly appliers?: number;
  /** Threads that take events in; the others are the test's. */
  readonly producers?: number;
  readonly queueSize?: number;
  readonly bulkQueueSize?: number;
  readonly batchesMax?: number;
  readonly storeBytes?: number;
  readonly firstCursor?: number;
  readonly segmentBytesMax?: number;
  readonly logEntry?: URL;
  /** Known to the log's entry; see faulty-log.ts. */
  readonly faults?: Int32Array;
}

export class Pipeline {
  readonly path: WritePath;
  readonly threads: ServiceThreads;
  readonly logged: { readonly msg: string }[] = [];
  /** What the log reported of its storage, in order. */
  readonly storage: boolean[] = [];
  readonly fatal: string[] = [];
  /** Why events are dead. */
  readonly dead: string[] = [];
  /** What a producer is made of in a thread of its own, apart from its number. */
  readonly producerOptions: Omit<ProducerOptions, 'producer'>;
  readonly #dataDir: DataDir;
  #stopped = false;

  private constructor(t: Pick<Test, 'teardown'>, options: PipelineOptions) {
    const { dataDir, appliers = 2, firstCursor = 0, segmentBytesMax = 1 << 20 } = options;
    const { producers = 1, queueSize = QUEUE_SIZE, bulkQueueSize = queueSize } = options;
    const { batchesMax = 1, storeBytes = STORE_BYTES } = options;
    const store = planStore(storeBytes, SHARDS);
    const limits = { queueSize, bulkQueueSize, batchesMax, store, storageTimeoutMs: WAIT_MS_MAX };
    const write = (line: string) => void this.logged.push(JSON.parse(line));
    this.threads = new ServiceThreads(t);
    this.#dataDir = DataDir.open(dataDir);
    const log = fileLog(this.#dataDir, segmentBytesMax, options.logEntry);
    this.path = new WritePath(
      {
        ...limits,
        appliers,
        producers,
        dedupeEvents: DEDUPE_EVENTS,
        firstCursor,
        log: { ...log, data: { ...log.data, faults: options.faults } },
        logger: pino({ level: 'info' }, { write }),
      },
      {
        onStorage: (available) => {
          this.storage.push(available);
          this.path.storageAvailable = available;
        },
        onDead: (_, reason) => this.dead.push(reason),
        onFatal: (reason) => {
          this.fatal.push(reason);
          this.path.failAll();
        },
      },
    );
    this.producerOptions = { ...limits, memory: this.path.memory };
  }

  /** Starts it; resolves when the log is replayed and events are taken. */
  static async start(t: Pick<Test, 'teardown'>, options: PipelineOptions): Promise<Pipeline> {
    const pipeline = new Pipeline(t, options);
    t.teardown(() => pipeline.stop());
    pipeline.path.start();
    await pipeline.path.ready;
    pipeline.path.open();
    return pipeline;
  }

  /** Queues an event, asking again on later turns while there is no room; resolves to its seq. */
  async send(event: ProductEvent): Promise<number> {
    return (await this.fateOf(event)).seq;
  }

  /** As `send`; tells also whether it came before under the same key. */
  async fateOf(event: ProductEvent): Promise<{ seq: number; isReplayed: boolean }> {
    const fate = Promise.withResolvers<{ seq: number; isReplayed: boolean }>();
    const waiter = {
      durable: (seq: number, isReplayed = false) => fate.resolve({ seq, isReplayed }),
      conflict: () => fate.reject(new Error('conflict')),
      failed: (outcome: string) => fate.reject(new Error(`failed: ${outcome}`)),
    };
    for (;;) {
      const answer = this.path.intake.offer(event, waiter);
      if (answer === 'queued') return fate.promise;
      if (answer === 'store-full' || answer === 'closed') throw new Error(answer);
      if (this.fatal.length > 0) throw new Error(this.fatal[0]);
      await new Promise(setImmediate);
    }
  }

  /** Says what the keeper of the folder would say to the log thread. */
  get guard(): FolderGuard {
    return this.#dataDir.guard;
  }

  /** What is durable now; asks whether every applier has passed that. */
  mark(): () => boolean {
    const last = this.path.progress.loadNextSeq() - 1;
    return () => this.path.watermark.seq >= last;
  }

  /** Drains and ends everything; resolves to whether the log closed cleanly. */
  async stop(): Promise<boolean> {
    if (this.#stopped) return true;
    this.#stopped = true;
    const isClean = await bounded(this.path.stop(), WAIT_MS_MAX, 'the write path to stop');
    this.#dataDir.close();
    return isClean;
  }
}
