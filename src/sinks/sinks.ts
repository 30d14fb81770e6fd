/**
 * All sinks of the service, each in a thread of its own: started when the store is whole, replaced when they
 * die, ended with the service. Main thread; nothing waits for a sink but the stop, and that for a bounded time.
 * (Over 300 lines: what all sinks share, from the start to the drain, and the life of each one's thread.)
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { NamedSink } from '../config/sinks.ts';
import { LETTERS_FILE, SINKS_FOLDER } from '../log/data-dir.ts';
import { NodeFileSystem } from '../log/file-system.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { FollowedSinks } from './followed-sinks.ts';
import { dataFolderIdentity, hasIdentity, writeIdentity } from './identity.ts';
import type { SinkOptions } from './sink.ts';
import type { RowRedrive, SinkOrder, SinkReport, SinkThreadData } from './sink-messages.ts';
import type { SinkLimits } from './sink-runner.ts';
import { SinkStats } from './sink-stats.ts';
import { beginRun, type Timeline, writeTimeline } from './timeline.ts';

const ENTRY = new URL('../../workers/sink.ts', import.meta.url);
/** A thread that died is replaced after this time. */
const RESTART_MS = 1_000;

/** Where the dead letters of the data folder `root` are. */
export function lettersPath(root: string): string {
  return join(root, LETTERS_FILE);
}

export interface SinksOptions {
  /** Each with the memory of what its thread counts (sink-stats.ts). */
  readonly sinks: readonly (NamedSink & { readonly stats: SharedArrayBuffer })[];
  readonly memory: SharedMemory;
  /** DATA_DIR. */
  readonly root: string;
  /** In whose name all instances of a cluster write; none = the data folder's own. */
  readonly cluster?: Pick<SinkOptions, 'identity' | 'before'> | undefined;
  readonly limits: SinkLimits;
  /** SINK_HOLD. */
  readonly holdMs: number;
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
  /** Its rows have to be compared; the number of the last order. */
  comparison: number | undefined;
  worker: Worker | undefined;
  ended: Promise<void>;
}

export class Sinks {
  readonly #options: SinksOptions;
  readonly #files = new NodeFileSystem();
  readonly #threads: readonly Thread[];
  #identity: string | undefined;
  /** Which run of the service committed which events; empty in a cluster. */
  #timeline: Timeline = [];
  /** None before the start. */
  #followed: FollowedSinks | undefined;
  #isStopping = false;
  #redrives = 0;
  #comparisons = 0;

  constructor(options: SinksOptions) {
    this.#options = options;
    this.#threads = options.sinks.map((sink) => {
      const buffer = sink.stats;
      const stats = new SinkStats(buffer);
      return {
        name: sink.name,
        sink,
        buffer,
        stats,
        redrives: new Map(),
        comparison: undefined,
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
   * All products that were changed by events up to this seq are in every sink. One that was not reached for
   * SINK_HOLD, or is not written to at all because it is another data folder's, is not waited for.
   */
  get flushedSeq(): number {
    const sinceMs = Date.now() - this.#options.holdMs;
    const held = this.#threads.filter(({ stats }) => isHeld(stats, sinceMs));
    return Math.min(...held.map(({ stats }) => stats.get('position')));
  }

  /**
   * What was forgotten up to this seq is about to be freed: no sink can hear of it any more. Those that have not, and
   * were not waited for, are compared when they are reached. Throws what the file system throws.
   *
   * One may be opened between the moment when it was not waited for and this one: it is compared once more.
   */
  freeUntil(seq: number): void {
    const left = this.#threads.filter(({ stats }) => stats.get('position') < seq);
    this.#followed?.freeUntil(
      seq,
      left.map(({ name }) => name),
    );
    for (const thread of left) {
      if (thread.comparison === undefined) {
        this.#options.logger.warn(
          { sink: thread.name },
          `sink ${thread.name}: products are forgotten without it; it is compared when it is reached`,
        );
      }
      thread.comparison = ++this.#comparisons;
      const { comparison } = thread;
      thread.worker?.postMessage({ type: 'compare', comparison } satisfies SinkOrder);
    }
  }

  /** Places of products forgotten up to this seq may have been freed, in this run or before. After the start. */
  get freedUntil(): number {
    return this.#followed?.freedUntil ?? 0;
  }

  /** The data folder's own name. After the start of one sink at least. */
  get identity(): string {
    if (this.#identity === undefined) throw new Error('no sink is started');
    return this.#identity;
  }

  /**
   * Starts them; the store is whole, and the next event gets `nextSeq`. Nothing may be taken in before. Throws if
   * the data folder's own name or its runs can't be read or written.
   */
  start(nextSeq: number): void {
    const names = this.#threads.map(({ name }) => name);
    this.#followed = new FollowedSinks(this.#files, this.#options.root, names);
    const { root, cluster } = this.#options;
    // Of one without sinks too, once there are some that may come back.
    if (cluster === undefined && (names.length > 0 || hasIdentity(this.#files, root))) {
      this.#timeline = beginRun(this.#files, root, nextSeq);
    }
    if (names.length === 0) return;
    // Dead letters stand there, whoever's name the sinks are written to in.
    this.#files.makeFolder(join(root, SINKS_FOLDER));
    this.#identity = cluster?.identity ?? dataFolderIdentity(this.#files, root);
    for (const thread of this.#threads) {
      thread.stats.set('reachedMs', Date.now());
      thread.ended = this.#supervise(thread);
    }
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
    if (this.#identity !== undefined && this.#options.cluster === undefined) {
      writeIdentity(this.#files, this.#options.root, this.#identity);
    }
    if (this.#timeline.length > 0) {
      writeTimeline(this.#files, this.#options.root, this.#timeline);
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

  /** From here on places are held for it, as it was reached. */
  #noteOpened(thread: Thread, position: number): void {
    const { name } = thread;
    if (this.#followed?.mayLack(name, position) === true) thread.comparison = ++this.#comparisons;
    else this.#noteFollowed(thread);
    const { comparison } = thread;
    thread.worker?.postMessage({ type: 'held', comparison } satisfies SinkOrder);
  }

  #noteFollowed(thread: Thread): void {
    const { name } = thread;
    thread.comparison = undefined;
    try {
      this.#followed?.add(name);
    } catch (error) {
      // The next time that it is opened; until then it is taken for one that was away.
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
      options: {
        identity: this.#identity ?? '',
        before: this.#options.cluster?.before,
        timeoutMs,
        connectionsMax,
      },
      limits,
      deadLetters: { path: lettersPath(root), lettersMax },
      stats: buffer,
      isShared: this.#options.cluster !== undefined,
      timeline: this.#timeline,
    };
    return new Promise((resolve) => {
      let worker: Worker;
      try {
        worker = new Worker(ENTRY, { workerData, name: `sink ${name}` });
      } catch (error) {
        // No memory or no thread is left.
        resolve(String(error));
        return;
      }
      thread.worker = worker;
      let reason = '';
      worker.on('message', (report: SinkReport) => {
        if (report.type === 'opened') {
          this.#noteOpened(thread, report.position);
          return;
        }
        if (report.type === 'compared') {
          // Another one was ordered meanwhile.
          if (report.comparison === thread.comparison) this.#noteFollowed(thread);
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

/** Whether a sink is waited for that was reached at `sinceMs` or later, or is connected. */
function isHeld(stats: SinkStats, sinceMs: number): boolean {
  const { state } = stats;
  if (state === 'foreign') return false;
  // Each of its calls is bounded by CONNECTION_TIMEOUT.
  return state === 'following' || state === 'comparing' || stats.get('reachedMs') >= sinceMs;
}
