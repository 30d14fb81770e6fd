/**
 * The threads that serve HTTP beside the main thread: starts them, replaces those that die or hang, and takes them
 * through the service's life. Main thread. docs/http-threads.md has the stories.
 *
 * A thread that dies takes its connections with it. What it had published goes its way through the log; its
 * successor, which has the same rings, is started when that is applied.
 */
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { within } from '../deadline.ts';
import { beatNoMore, loopName } from '../health/heartbeats.ts';
import type { LoadedTls } from '../http/connection/tls-files.ts';
import { forgetOpen } from '../limits/open-counts.ts';
import type { OtherThreads } from '../metrics/registry.ts';
import { Line, LineClosedError } from './line.ts';
import { type DeskParts, MainDesk } from './main-desk.ts';
import type { Address, HttpThreadData, MainAnswers, ThreadAnswers } from './thread-messages.ts';
import { ThreadSeries } from './thread-series.ts';
import type { RemoteUploads } from './upload-room.ts';

/** Deaths within DEATHS_MS after which no more are replaced. */
const DEATHS_MAX = 5;
const DEATHS_MS = 60_000;
/** Between two tries to take what a thread had out of the counts. */
const FORGET_EVERY_MS = 5;
/** How long a thread may take to tell what it counted. */
const SERIES_MS_MAX = 1_000;

export const HTTP_ENTRY = new URL('../../workers/http.ts', import.meta.url);

export interface HttpThreadsOptions {
  /** How many, the main thread not counted. */
  readonly count: number;
  /** Module of such a thread; HTTP_ENTRY but in tests. */
  readonly entry: URL;
  /** What thread `index`, 1 for the first, is started with. */
  readonly dataOf: (index: number) => Omit<HttpThreadData, 'address' | 'replayedSeq'>;
  /** Producer `index` is dead: resolves when what it published is through, and its part of the limits back. */
  readonly takeBack: (index: number) => Promise<void>;
  readonly desk: DeskParts;
  readonly logger: Logger;
  /** They can't be kept running: the process must stop. Called at most once. */
  readonly onFatal: (reason: string) => void;
}

interface Thread {
  readonly index: number;
  readonly worker: Worker;
  readonly line: Line<MainAnswers, ThreadAnswers>;
  readonly desk: MainDesk;
  readonly exited: Promise<void>;
  isListening: boolean;
  /** Why it is ended, if it is. */
  cause: unknown;
}

export class HttpThreads {
  /** What they count, for the service's metrics. */
  readonly series: OtherThreads;
  readonly #options: HttpThreadsOptions;
  readonly #threads = new Map<number, Thread>();
  readonly #series = new ThreadSeries();
  readonly #allListen = Promise.withResolvers<void>();
  readonly #deathsMs: number[] = [];
  #address: Address | undefined;
  #tls: LoadedTls | undefined;
  #replayedSeq: number | undefined;
  #isStopping = false;
  #restarts = 0;
  #hangs = 0;

  constructor(options: HttpThreadsOptions) {
    this.#options = options;
    this.series = {
      refresh: () => this.#refresh(),
      series: (name) => this.#series.of(name),
    };
  }

  /** Starts all of them; they listen at `address` as soon as each is loaded. Call once. */
  start(address: Address): void {
    this.#address = address;
    for (let index = 1; index <= this.#options.count; index++) this.#spawn(index);
  }

  /** Resolves when all listen; at once where there are none. */
  get listening(): Promise<void> {
    return this.#options.count === 0 ? Promise.resolve() : this.#allListen.promise;
  }

  /** Threads replaced since the start. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Threads ended since the start because they hung. */
  get hangs(): number {
    return this.#hangs;
  }

  /** Those that run now, by what they are called. */
  get threads(): readonly { readonly index: number; readonly worker: Worker }[] {
    return [...this.#threads.values()];
  }

  /** Their uploads. */
  get uploads(): readonly RemoteUploads[] {
    return [...this.#threads.values()].map(({ line }) => ({
      latestMs: () => line.ask('latestUploadMs'),
      takePlace: () => line.ask('takePlace'),
    }));
  }

  /** The log is replayed up to `replayedSeq`: resolves when all are about to take events. */
  async open(replayedSeq: number): Promise<void> {
    this.#replayedSeq = replayedSeq;
    await this.#each((thread) => this.#open(thread, replayedSeq));
  }

  storageAvailable(available: boolean): void {
    for (const { line } of this.#threads.values()) line.tell('storageAvailable', available);
  }

  stalled(text: string | undefined): void {
    for (const { line } of this.#threads.values()) line.tell('stalled', text);
  }

  useTls(tls: LoadedTls): void {
    this.#tls = tls;
    for (const { line } of this.#threads.values()) line.tell('useTls', tls);
  }

  /** No thread is replaced from now on. Resolves when none listens any more. */
  async stopListening(): Promise<void> {
    this.#isStopping = true;
    await this.#each(({ line }) => line.ask('stopListening'));
  }

  /** Behind `stopListening`, of all. Resolves when all that they claimed is settled. */
  async drain(): Promise<void> {
    await this.#each(({ line }) => line.ask('drain'));
  }

  /** Whoever waits hears that the outcome is unknown. Resolves to on how many events. */
  async failAll(): Promise<number> {
    let events = 0;
    await this.#each(async ({ line }) => {
      events += await line.ask('failAll');
    });
    return events;
  }

  closeChanges(): void {
    for (const { line } of this.#threads.values()) line.tell('closeChanges');
  }

  /** Resolves when no connection is left, to whether all ended by themselves within this time. */
  async endConnections(timeoutMs: number): Promise<boolean> {
    let haveEnded = true;
    await this.#each(async ({ line }) => {
      if (!(await line.ask('endConnections', timeoutMs))) haveEnded = false;
    });
    return haveEnded;
  }

  /** Ends them in order; those that have not ended after `timeoutMs` wherever they are. Resolves always. */
  async close(timeoutMs: number): Promise<void> {
    this.#isStopping = true;
    const ends = this.#each(async ({ line, exited }) => {
      await line.ask('close');
      await exited;
    });
    await within(timeoutMs, ends);
    await Promise.all([...this.#threads.values()].map(({ worker }) => worker.terminate()));
  }

  /** The watchdog says that the loop of `name`, which may be another's, has not come round for so long. */
  endHanging(name: string, forMs: number): void {
    for (const thread of this.#threads.values()) {
      if (loopName(thread.index) !== name || thread.cause !== undefined || this.#isStopping)
        continue;
      this.#hangs++;
      thread.cause = new Error(`it made no progress for ${Math.round(forMs)} ms, and was ended`);
      void thread.worker.terminate();
    }
  }

  /** One that can't take events is replaced. */
  async #open(thread: Thread, replayedSeq: number): Promise<void> {
    try {
      await thread.line.ask('open', replayedSeq);
    } catch (error) {
      if (error instanceof LineClosedError || this.#isStopping) return;
      thread.cause ??= new Error(`it did not open: ${(error as Error).message}`, { cause: error });
      await thread.worker.terminate();
    }
  }

  /** One that is gone has nothing more to do. */
  async #each(call: (thread: Thread) => Promise<unknown>): Promise<void> {
    await Promise.all(
      [...this.#threads.values()].map((thread) => call(thread).catch(() => undefined)),
    );
  }

  #spawn(index: number): void {
    const { entry, dataOf, desk: parts, logger } = this.#options;
    const address = this.#address;
    if (address === undefined || this.#isStopping) return;
    const workerData: HttpThreadData = {
      ...dataOf(index),
      address,
      replayedSeq: this.#replayedSeq,
    };
    const worker = new Worker(entry, { workerData, name: 'http' });
    const desk = new MainDesk(parts);
    const answers: MainAnswers = { ...desk.answers, listening: () => this.#listens(index) };
    const line = new Line<MainAnswers, ThreadAnswers>(worker, answers);
    const exited = Promise.withResolvers<void>();
    const thread: Thread = {
      index,
      worker,
      line,
      desk,
      exited: exited.promise,
      isListening: false,
      cause: undefined,
    };
    this.#threads.set(index, thread);
    // The files may be others by now than those that this thread reads.
    if (this.#tls !== undefined) line.tell('useTls', this.#tls);
    worker.on('error', (error) => {
      thread.cause ??= error;
    });
    worker.once('exit', (code) => {
      line.close();
      desk.close();
      this.#threads.delete(index);
      this.#series.ended(index);
      beatNoMore(workerData.memory.beats, index);
      exited.resolve();
      if (this.#isStopping) return;
      logger.error(
        { err: thread.cause ?? new Error(`it exited with code ${code}`), thread: loopName(index) },
        'http thread died',
      );
      void this.#replace(index, desk);
    });
  }

  #listens(index: number): void {
    const thread = this.#threads.get(index);
    if (thread !== undefined) thread.isListening = true;
    const all = [...this.#threads.values()];
    if (all.length === this.#options.count && all.every(({ isListening }) => isListening)) {
      this.#allListen.resolve();
    }
  }

  async #replace(index: number, desk: MainDesk): Promise<void> {
    const { takeBack, dataOf, onFatal } = this.#options;
    const nowMs = performance.now();
    this.#deathsMs.push(nowMs);
    if (this.#deathsMs.filter((atMs) => nowMs - atMs < DEATHS_MS).length >= DEATHS_MAX) {
      this.#isStopping = true;
      onFatal(`the threads that serve HTTP died ${DEATHS_MAX} times within a minute`);
      return;
    }
    // A repetition that comes before would meet events under its key that are still on their way.
    await takeBack(index);
    // Its connections are closed by now.
    while (!forgetOpen(dataOf(index).memory.open, index))
      await new Promise((resolve) => setTimeout(resolve, FORGET_EVERY_MS));
    desk.releaseKeys();
    if (this.#isStopping) return;
    this.#restarts++;
    this.#spawn(index);
  }

  async #refresh(): Promise<void> {
    await this.#each(async ({ index, line }) => {
      const asked = line.ask('series');
      // One that hangs is missing what it has counted since the last time.
      const series = await within(SERIES_MS_MAX, asked);
      if (series !== undefined && series !== true) this.#series.note(index, series);
    });
  }
}
