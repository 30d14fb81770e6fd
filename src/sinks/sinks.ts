/**
 * All sinks of the service, each in a thread of its own: started when the store is whole, replaced when they
 * die, ended with the service. Main thread; nothing waits for a sink but the stop, and that for a bounded time.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { NamedSink } from '../config/sinks.ts';
import { SINKS_FOLDER } from '../log/data-dir.ts';
import { NodeFileSystem } from '../log/file-system.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { FollowedSinks } from './followed-sinks.ts';
import { dataFolderIdentity, writeIdentity } from './identity.ts';
import type { RowRedrive, SinkOrder, SinkReport, SinkThreadData } from './sink-messages.ts';
import type { SinkLimits } from './sink-runner.ts';
import { SinkStats } from './sink-stats.ts';

const ENTRY = new URL('../../workers/sink.ts', import.meta.url);
/** A thread that died is replaced after this time. */
const RESTART_MS = 1_000;
const LETTERS_NAME = 'dead-letters.db';

/** Where the dead letters of the data folder `root` are. */
export function lettersPath(root: string): string {
  return join(root, SINKS_FOLDER, LETTERS_NAME);
}

export interface SinksOptions {
  readonly sinks: readonly NamedSink[];
  readonly memory: SharedMemory;
  /** DATA_DIR. */
  readonly root: string;
  readonly limits: SinkLimits;
  readonly timeoutMs: number;
  readonly connectionsMax: number;
  readonly lettersMax: number;
  readonly logger: Logger;
}

export interface RunningSink {
  readonly name: string;
  readonly stats: SinkStats;
}

interface Redrive {
  readonly productId: string;
  readonly done: (status: RowRedrive) => void;
}

interface Thread extends RunningSink {
  readonly sink: NamedSink;
  readonly buffer: SharedArrayBuffer;
  /** What it was asked and has not answered. */
  readonly redrives: Map<number, Redrive>;
  worker: Worker | undefined;
  ended: Promise<void>;
}

export class Sinks {
  readonly #options: SinksOptions;
  readonly #files = new NodeFileSystem();
  readonly #threads: readonly Thread[];
  #identity: string | undefined;
  /** None before the start. */
  #followed: FollowedSinks | undefined;
  #isStopping = false;
  #redrives = 0;

  constructor(options: SinksOptions) {
    this.#options = options;
    this.#threads = options.sinks.map((sink) => {
      const buffer = SinkStats.create();
      const stats = new SinkStats(buffer);
      return {
        name: sink.name,
        sink,
        buffer,
        stats,
        redrives: new Map(),
        worker: undefined,
        ended: Promise.resolve(),
      };
    });
  }

  /** What each does now. */
  get all(): readonly RunningSink[] {
    return this.#threads;
  }

  /**
   * All products that were changed by events up to this seq are in every sink. One that is not written to at
   * all, because it can't go on from where it is, is not waited for.
   */
  get flushedSeq(): number {
    const followed = this.#threads.filter(({ stats }) => stats.state !== 'foreign');
    return Math.min(...followed.map(({ stats }) => stats.get('position')));
  }

  /** What was forgotten up to this seq is about to be freed: no sink can hear of it any more. Throws what the file system throws. */
  freeUntil(seq: number): void {
    this.#followed?.freeUntil(seq);
  }

  /** Starts them; the store is whole. Throws if the data folder's own name can't be read or written. */
  start(): void {
    const names = this.#threads.map(({ name }) => name);
    this.#followed = new FollowedSinks(this.#files, this.#options.root, names);
    if (names.length === 0) return;
    this.#identity = dataFolderIdentity(this.#files, this.#options.root);
    for (const thread of this.#threads) thread.ended = this.#supervise(thread);
  }

  /** Writes the present state of a product to a sink again; `undefined` if there is none of that name. */
  redrive(sink: string, productId: string): Promise<RowRedrive> | undefined {
    const thread = this.#threads.find(({ name }) => name === sink);
    if (thread === undefined) return undefined;
    return new Promise((done) => {
      const id = ++this.#redrives;
      thread.redrives.set(id, { productId, done });
      thread.worker?.postMessage({ type: 'redrive', id, productId } satisfies SinkOrder);
    });
  }

  /** The data folder was made anew: what is in it of the sinks' is written again. */
  remake(): void {
    this.#followed?.remake();
    if (this.#identity !== undefined) {
      writeIdentity(this.#files, this.#options.root, this.#identity);
    }
  }

  /** Nothing more will be applied: resolves once each has written what is left, or failed to. */
  async drain(): Promise<void> {
    this.#isStopping = true;
    this.#order({ type: 'drain' });
    await Promise.all(this.#threads.map(({ ended }) => ended));
  }

  /** Ends them wherever they are. */
  async terminate(): Promise<void> {
    this.#isStopping = true;
    this.#order({ type: 'stop' });
    await Promise.all(this.#threads.map(({ worker }) => worker?.terminate()));
  }

  #noteFollowed(name: string): void {
    try {
      this.#followed?.add(name);
    } catch (error) {
      // The next time that it is opened; at a start before that it would be taken for one that was away.
      this.#options.logger.error({ err: error, sink: name }, `sink ${name}: can't be noted`);
    }
  }

  #order(order: SinkOrder): void {
    for (const { worker } of this.#threads) worker?.postMessage(order);
  }

  async #supervise(thread: Thread): Promise<void> {
    const { logger } = this.#options;
    while (!this.#isStopping) {
      const reason = await this.#run(thread);
      if (this.#isStopping) return;
      logger.error(
        { sink: thread.name, reason },
        `sink ${thread.name}: its thread ended; replaced`,
      );
      await new Promise((resolve) => setTimeout(resolve, RESTART_MS).unref());
    }
  }

  /** Runs a thread to its end; says why it ended. */
  #run(thread: Thread): Promise<string> {
    const { memory, root, limits, timeoutMs, connectionsMax, lettersMax, logger } = this.#options;
    const { name, sink, buffer } = thread;
    const workerData: SinkThreadData = {
      memory,
      name,
      target: sink.target,
      options: { identity: this.#identity ?? '', timeoutMs, connectionsMax },
      limits,
      deadLetters: { path: lettersPath(root), lettersMax },
      stats: buffer,
      leastPosition: this.#followed?.leastPosition(name) ?? 0,
    };
    return new Promise((resolve) => {
      const worker = new Worker(ENTRY, { workerData, name: `sink ${name}` });
      thread.worker = worker;
      let reason = '';
      worker.on('message', (report: SinkReport) => {
        if (report.type === 'opened') {
          this.#noteFollowed(name);
          return;
        }
        if (report.type === 'report') {
          logger[report.level]({ sink: name }, `sink ${name}: ${report.text}`);
          return;
        }
        thread.redrives.get(report.id)?.done(report.status);
        thread.redrives.delete(report.id);
      });
      // What a thread before was asked and did not answer.
      for (const [id, { productId }] of thread.redrives) {
        worker.postMessage({ type: 'redrive', id, productId } satisfies SinkOrder);
      }
      worker.once('error', (error) => {
        reason = String(error);
      });
      worker.once('exit', (code) => {
        thread.worker = undefined;
        resolve(reason === '' ? `exit code ${code}` : reason);
      });
    });
  }
}
