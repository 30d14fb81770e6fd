/**
 * A further thread that serves HTTP, from its start to its end: its own app on the service's port, its own way
 * into the log, its own readers. What exists once it asks the main thread for, who says when it opens and
 * stops (http-threads.ts). docs/http-threads.md has the stories.
 */
import { flushCompileCache } from 'node:module';
import { type Level, type Logger, pino } from 'pino';
import { DeadSeqs } from '../apply/dead-seqs.ts';
import { EventOutcomes } from '../apply/event-outcomes.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { AHEAD_MS, ChangeFeed } from '../changes/change-feed.ts';
import { changeMetrics } from '../changes/change-metrics.ts';
import { changeHistory } from '../changes/change-reader.ts';
import { EventChanges } from '../changes/event-changes.ts';
import { RingHistory } from '../changes/ring-history.ts';
import { beat } from '../health/heartbeats.ts';
import type { AppDeps } from '../http/app.ts';
import { HttpSide } from '../http/http-side.ts';
import type { Metering } from '../http/metering/metering.ts';
import { Uploads } from '../http/requests/uploads.ts';
import type { Batches } from '../http/seams/batches.ts';
import { type OpenCounts, openCountsOf } from '../limits/open-counts.ts';
import { FileHistory } from '../log/file-history.ts';
import { heldPath } from '../log/held-files.ts';
import { EventLoopDelay } from '../metrics/event-loop-delay.ts';
import { eventLoopMetrics } from '../metrics/event-loop-metrics.ts';
import { MetricsRegistry } from '../metrics/registry.ts';
import { readAll } from '../metrics/series.ts';
import type { Tracing } from '../tracing/tracing.ts';
import { Producer } from '../write-path/producer.ts';
import { producerMetrics } from '../write-path/producer-metrics.ts';
import { appDeps, openedAuthenticator } from './app-deps.ts';
import { Line, type LineEnd } from './line.ts';
import {
  deadLettersOf,
  figuresOf,
  historyOf,
  type MainLine,
  profilesOf,
  runningKeysOf,
  uploadPlacesOf,
} from './main-seams.ts';
import { ServiceState } from './service-state.ts';
import { ThreadLifecycle } from './thread-lifecycle.ts';
import type { HttpThreadData, ThreadAnswers } from './thread-messages.ts';

/** Serves until it is asked to close, then calls `end`; `port` leads to the main thread. */
export async function runHttpThread(
  data: HttpThreadData,
  port: LineEnd,
  end: () => void,
): Promise<void> {
  const thread = new HttpThread(data);
  // Before anything is awaited: what it is asked first comes early.
  const line: MainLine = new Line(port, thread.answers(end));
  await thread.serve(line);
  line.tell('listening');
  flushCompileCache();
}

class HttpThread {
  readonly #data: HttpThreadData;
  readonly #index: number;
  readonly #producer: Producer;
  readonly #counts: OpenCounts;
  readonly #outcomes: EventOutcomes;
  readonly #uploads = new Uploads();
  readonly #registry = new MetricsRegistry();
  readonly #loopDelay: EventLoopDelay | undefined;
  #changes: ChangeFeed | undefined;
  #lifecycle: ThreadLifecycle | undefined;
  #http: HttpSide | undefined;
  #authenticator: Authenticator | undefined;
  #tracing: Tracing | undefined;
  #replayedSeq: number | undefined;
  #listening: Promise<void> | undefined;
  #isStopping = false;
  readonly #loaded = Promise.withResolvers<void>();

  constructor(data: HttpThreadData) {
    const { producer, config, memory } = data;
    this.#data = data;
    this.#index = producer.producer;
    this.#producer = new Producer(producer);
    this.#counts = openCountsOf(memory.open, this.#index, config);
    const { watermark, outcomes } = this.#producer;
    const dead = new DeadSeqs(producer.memory.dead);
    this.#outcomes = new EventOutcomes({ watermark, outcomes, dead });
    this.#replayedSeq = data.replayedSeq;
    this.#loopDelay = config.isMetered ? new EventLoopDelay() : undefined;
    // Who asks before there is anything to ask is told when it is loaded; nobody else waits for it.
    this.#loaded.promise.catch(() => undefined);
  }

  /** Loads and listens. */
  async serve(line: MainLine): Promise<void> {
    const { config, memory, address } = this.#data;
    const logger = threadLogger(line, config.logLevel);
    process.removeAllListeners('warning');
    process.on('warning', (warning) => logger.warn({ err: warning }, 'warning of Node'));
    const state = new ServiceState(memory.state);
    const isReader = config.role === 'reader';
    const lifecycle = new ThreadLifecycle(state, isReader, () => line.ask('checks'));
    this.#lifecycle = lifecycle;
    this.#producer.storageAvailable = lifecycle.storageAvailable;
    this.#changes = this.#makeChanges(logger);
    this.#http = await HttpSide.load(
      () => this.#deps(line, logger, lifecycle),
      config.adminPort !== undefined ? 'service' : 'all',
    );
    this.#open();
    this.#loaded.resolve();
    if (this.#isStopping) return;
    this.#listening = this.#http.listen({ ...address, reusePort: true }, undefined);
    await this.#listening;
    beat(memory.beats, this.#index, config.stallTimeoutMs);
  }

  /** What the main thread may ask. */
  answers(end: () => void): ThreadAnswers {
    return {
      open: (replayedSeq) => {
        this.#replayedSeq = replayedSeq;
        this.#open();
      },
      storageAvailable: (available) => {
        this.#producer.storageAvailable = available;
      },
      stalled: (text) => {
        if (this.#lifecycle !== undefined) this.#lifecycle.stalledText = text;
      },
      useTls: async (tls) => {
        await this.#loaded.promise;
        this.#http?.useTls(tls);
      },
      stopListening: async () => {
        this.#isStopping = true;
        // It ends this thread if it fails.
        await this.#listening?.catch(() => undefined);
        await this.#http?.stopListening();
      },
      drain: async () => {
        this.#http?.beginDrain();
        this.#changes?.closeHeld();
        await this.#producer.drain();
      },
      failAll: () => {
        const { inFlight } = this.#producer;
        this.#producer.failAll();
        return inFlight;
      },
      closeChanges: () => this.#changes?.close(),
      endConnections: async (timeoutMs) => (await this.#http?.endConnections(timeoutMs)) ?? true,
      close: async () => {
        this.#loopDelay?.stop();
        await this.#http?.close();
        this.#producer.dispose();
        this.#authenticator?.close();
        await this.#tracing?.shutdown();
        // Behind the answer to this.
        setImmediate(end);
      },
      latestUploadMs: () => this.#uploads.latestMs,
      takePlace: async () => (await this.#uploads.makeRoom()) ?? false,
      series: () => readAll(this.#registry.declared),
    };
  }

  /** Takes events, once it is loaded and the log is replayed. */
  #open(): void {
    const replayedSeq = this.#replayedSeq;
    const lifecycle = this.#lifecycle;
    if (replayedSeq === undefined || lifecycle === undefined || lifecycle.isOpen) return;
    if (this.#http === undefined) return;
    this.#outcomes.replayedSeq = replayedSeq;
    this.#changes?.open(replayedSeq);
    this.#producer.open();
    lifecycle.isOpen = true;
  }

  #makeChanges(logger: Logger): ChangeFeed {
    const { config, logFolder, held, producer } = this.#data;
    const { commits, progress, store, outcomes, watermark } = this.#producer;
    const files = new FileHistory({
      get folder() {
        return heldPath(held, logFolder);
      },
      progress,
    });
    const { hashKey } = producer.memory;
    const events = new EventChanges(store, outcomes);
    return new ChangeFeed({
      history: changeHistory(new RingHistory(commits, progress), files, events, hashKey),
      progress,
      watermark,
      limits: config,
      places: this.#counts.followers,
      onError: (error) => logger.error({ err: error }, 'changes: the log could not be read'),
      aheadMs: producer.isLogShared === true ? AHEAD_MS : 0,
    });
  }

  async #deps(line: MainLine, logger: Logger, lifecycle: ThreadLifecycle): Promise<AppDeps> {
    const { config, memory, history, tracing } = this.#data;
    const changes = this.#changes;
    if (changes === undefined) throw new Error('the feed is made first');
    this.#authenticator = await openedAuthenticator(config, logger);
    if (tracing !== undefined) {
      const { startOpenTelemetry } = await import('../tracing/open-telemetry.ts');
      this.#tracing = startOpenTelemetry({ ...tracing, logger }, this.#producer.watermark);
    }
    return appDeps({
      config,
      logger,
      producer: this.#producer,
      outcomes: this.#outcomes,
      changes,
      running: runningKeysOf(line),
      uploads: this.#uploads,
      uploadPlaces: uploadPlacesOf(line),
      profiles: profilesOf(line),
      traces: this.#tracing,
      history: history && historyOf(line, history),
      deadLetters: deadLettersOf(line),
      lifecycle,
      identities: this.#authenticator,
      counts: this.#counts,
      rates: memory.rates,
      placesName: memory.placesName,
      metering: (batches) => this.#meter(line, batches),
    });
  }

  async #meter(line: MainLine, batches: Batches): Promise<Metering | undefined> {
    if (this.#loopDelay === undefined || this.#changes === undefined) return undefined;
    const { createMeter } = await import('../http/metering/metering.ts');
    producerMetrics(this.#registry, this.#producer);
    changeMetrics(this.#registry, this.#changes, this.#producer.watermark);
    eventLoopMetrics(this.#registry, this.#loopDelay, `http-${this.#index}`);
    return { meter: createMeter(this.#registry, batches), figures: figuresOf(line) };
  }
}

/** Lines are made here and written by the main thread, whole and in this thread's order. */
function threadLogger(line: MainLine, level: Level | 'silent'): Logger {
  const destination = {
    [pino.symbols.needsMetadataGsym]: true,
    lastLevel: 0,
    write(text: string): void {
      line.tell('log', this.lastLevel, text);
    },
  };
  return pino({ level }, destination);
}
