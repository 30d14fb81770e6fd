/**
 * What a service makes of HTTP, on one thread or on several, as one: its own app, the further threads, and what
 * all of them share and are told. Main thread; service.ts says when what happens.
 */
import type { Server } from 'node:http';
import type { Logger } from 'pino';
import type { Authenticator } from '../auth/authenticator.ts';
import type { ChangeFeed } from '../changes/change-feed.ts';
import type { Config } from '../config/schema.ts';
import { within } from '../deadline.ts';
import type { Stall } from '../health/progress-watch.ts';
import type { ProductHistory } from '../history/product-history.ts';
import type { AppDeps } from '../http/app.ts';
import { HttpSide, type Place } from '../http/http-side.ts';
import { newPlacesName } from '../http/requests/page-cursor.ts';
import { RunningKeys } from '../http/requests/running-keys.ts';
import { Uploads } from '../http/requests/uploads.ts';
import type { DeadLetterBox } from '../http/seams/dead-letters.ts';
import type { Figures } from '../http/seams/figures.ts';
import type { Profiles } from '../http/seams/profiles.ts';
import type { RequestTraces } from '../http/seams/request-traces.ts';
import type { HealthCheck, Lifecycle } from '../lifecycle.ts';
import { openCountsOf } from '../limits/open-counts.ts';
import { rateMemoryOf } from '../limits/rate-limits.ts';
import type { DataDir } from '../log/data-dir.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { ThreadTracing } from '../tracing/tracing.ts';
import type { WritePath } from '../write-path/write-path.ts';
import { appDeps, loadedTls, openedAuthenticator } from './app-deps.ts';
import type { HttpThreads } from './http-threads.ts';
import { ServiceState } from './service-state.ts';
import type { HttpMemory } from './thread-messages.ts';
import { UploadRoom } from './upload-room.ts';

/** How long other threads may take to open, or to listen no more. */
const THREADS_MS_MAX = 1_000;
/** What other threads may take beyond the time that their connections have. */
const ENDING_MS = 100;

export interface ServiceHttpParts {
  readonly config: Config;
  readonly logger: Logger;
  readonly path: WritePath;
  readonly dataDir: Pick<DataDir, 'held' | 'logFolder'>;
  /** limits/open-counts.ts */
  readonly open: SharedArrayBuffer;
  /** health/heartbeats.ts */
  readonly beats: SharedArrayBuffer;
  readonly changes: ChangeFeed;
  readonly history: ProductHistory | undefined;
  readonly deadLetters: DeadLetterBox;
  readonly metrics: MetricsRegistry | undefined;
  readonly profiles: Profiles;
  readonly lifecycle: Omit<Lifecycle, 'checks'> & { checks(): readonly HealthCheck[] };
  /** Starts to record traces, and the same for other threads; `undefined` = they are not. */
  readonly startTraces: () => Promise<RequestTraces | undefined>;
  readonly threadTracing: ThreadTracing | undefined;
  /** What the places of products are called where all instances of a cluster have the same. */
  readonly placesName: string | undefined;
  /** Module of a further thread, where a test wants another than workers/http.ts. */
  readonly entry: URL | undefined;
  /** One line: the service can't go on. */
  readonly onFatal: (reason: string) => void;
}

export class ServiceHttp {
  readonly #parts: ServiceHttpParts;
  readonly #memory: HttpMemory;
  readonly #state = new ServiceState();
  readonly #running = new RunningKeys();
  readonly #uploads = new Uploads();
  readonly #uploadRoom = new UploadRoom(this.#uploads, () => this.#threads?.uploads ?? []);
  /** None before it is loaded, and for good if that fails. */
  #side: HttpSide | undefined;
  /** The further threads; none while or where there are none. */
  #threads: HttpThreads | undefined;
  /** None without authentication. */
  #authenticator: Authenticator | undefined;
  #figures: Figures | undefined;

  constructor(parts: ServiceHttpParts) {
    this.#parts = parts;
    this.#memory = {
      state: this.#state.buffer,
      open: parts.open,
      beats: parts.beats,
      rates: rateMemoryOf(parts.config),
      placesName: parts.placesName ?? newPlacesName(),
    };
  }

  /** Rejects with what modules or options say, or ConfigError of a key that is none. */
  async load(): Promise<void> {
    const { adminPort } = this.#parts.config;
    const part = adminPort === undefined ? 'all' : 'apart';
    this.#side = await HttpSide.load(() => this.#deps(), part);
  }

  /** Once it is loaded: listens, alone or as the first of several threads, which are started then. */
  async listen(): Promise<void> {
    const { config, logger, metrics } = this.#parts;
    const { host, port, adminHost, adminPort = 0, httpThreads } = config;
    const admin = { host: adminHost, port: adminPort };
    const side = this.#loaded;
    if (httpThreads === 1) return side.listen({ host, port }, admin);
    // None of it is loaded where it is not wanted.
    const { canSharePorts, listenFirst } = await import('./shared-port.ts');
    if (!(await canSharePorts({ host }))) {
      logger.warn(
        `HTTP_THREADS=${httpThreads}: this system does not let several threads listen on one port, so one does`,
      );
      return side.listen({ host, port }, admin);
    }
    await listenFirst({ host, port }, () => side.listen({ host, port, reusePort: true }, admin));
    this.#threads = await this.#makeThreads(httpThreads - 1);
    metrics?.join(this.#threads.series);
    this.#threads.start(side.place);
  }

  /** Resolves when all further threads listen. */
  get listening(): Promise<void> {
    return this.#threads?.listening ?? Promise.resolve();
  }

  /** Resolves when all further threads are about to take events, which begin behind `replayedSeq`. */
  async open(replayedSeq: number): Promise<void> {
    if (this.#threads !== undefined) await within(THREADS_MS_MAX, this.#threads.open(replayedSeq));
  }

  get server(): Server {
    return this.#loaded.server;
  }

  get place(): Required<Pick<Place, 'host' | 'port'>> {
    return this.#loaded.place;
  }

  get port(): number {
    return this.#loaded.port;
  }

  /** The one of administration, if that is another. */
  get adminPort(): number | undefined {
    return this.#loaded.adminPort;
  }

  /** The further threads; `undefined` while or where there are none. */
  get further(): Pick<HttpThreads, 'threads' | 'restarts' | 'hangs'> | undefined {
    return this.#threads;
  }

  /** Tells the further threads where the service is in its life. */
  tellState(): void {
    this.#state.store(this.#parts.lifecycle);
  }

  /** Tells them whether events can be made durable. */
  tellStorage(): void {
    this.tellState();
    this.#threads?.storageAvailable(this.#parts.lifecycle.storageAvailable);
  }

  /** Tells them who is stalled; one of their own is ended, and replaced. */
  tellStalls(stalls: readonly Stall[]): void {
    this.tellState();
    this.#threads?.stalled(this.#parts.lifecycle.stalled);
    for (const { name, forMs } of stalls) this.#threads?.endHanging(name, forMs);
  }

  /**
   * Reads TLS_CERT and TLS_KEY again, for the connections to come. Resolves to until when the new certificate
   * is valid, or to nothing where there is no TLS; rejects, with one line, and keeps the old one if they can't be used.
   */
  async reloadTls(): Promise<string | undefined> {
    const loaded = await loadedTls(this.#parts.config);
    if (loaded !== undefined) {
      this.#loaded.useTls(loaded);
      this.#threads?.useTls(loaded);
    }
    return loaded?.validTo;
  }

  /** Says goodbye to all clients; resolves in between, when no thread listens any more or `timeoutMs` are over. */
  async beginDrain(timeoutMs: number): Promise<void> {
    if (this.#threads !== undefined) {
      // Of all, before one says goodbye: whoever reads that connects anew.
      const none = Promise.all([this.#side?.stopListening(), this.#threads.stopListening()]);
      await within(Math.min(THREADS_MS_MAX, timeoutMs), none);
    }
    this.#side?.beginDrain();
  }

  /** Behind `beginDrain`: resolves when all that further threads have claimed is settled. */
  async drained(): Promise<void> {
    await this.#threads?.drain();
  }

  /** Whoever waits in further threads hears that the outcome is unknown. Resolves to on how many events. */
  async failAll(): Promise<number> {
    return (await this.#threads?.failAll()) ?? 0;
  }

  /** Nothing more is applied: the feeds of further threads end. */
  closeChanges(): void {
    this.#threads?.closeChanges();
  }

  /** Resolves when no connection is left, to whether all ended by themselves within `timeoutMs`. */
  async endConnections(timeoutMs: number): Promise<boolean> {
    const ends = Promise.all([
      this.#side?.endConnections(timeoutMs),
      this.#threads?.endConnections(timeoutMs),
    ]);
    const haveEnded = await within(timeoutMs + ENDING_MS, ends);
    return Array.isArray(haveEnded) && !haveEnded.includes(false);
  }

  /** Answers nothing more, and ends the further threads, wherever they are after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    await Promise.all([this.#side?.close(), this.#threads?.close(timeoutMs)]);
    this.#authenticator?.close();
  }

  get #loaded(): HttpSide {
    if (this.#side === undefined) throw new Error('a service is given away when it listens');
    return this.#side;
  }

  async #deps(): Promise<AppDeps> {
    const { config, logger, path, changes, profiles, history, deadLetters } = this.#parts;
    const { lifecycle, startTraces, metrics } = this.#parts;
    const traces = await startTraces();
    this.#authenticator = await openedAuthenticator(config, logger);
    return appDeps({
      config,
      logger,
      producer: path,
      outcomes: path.events,
      changes,
      running: this.#running,
      uploads: this.#uploads,
      uploadPlaces: config.httpThreads === 1 ? this.#uploads : this.#uploadRoom,
      profiles,
      traces,
      history,
      deadLetters,
      lifecycle,
      identities: this.#authenticator,
      // Alone, Node counts for itself.
      counts: config.httpThreads === 1 ? undefined : openCountsOf(this.#memory.open, 0, config),
      rates: this.#memory.rates,
      placesName: this.#memory.placesName,
      metering: async (batches) => {
        if (metrics === undefined) return undefined;
        const { createMetering } = await import('../http/metering/metering.ts');
        const metering = createMetering(metrics, batches, lifecycle);
        this.#figures = metering.figures;
        return metering;
      },
    });
  }

  async #makeThreads(count: number): Promise<HttpThreads> {
    const { HTTP_ENTRY, HttpThreads } = await import('./http-threads.ts');
    const { config, logger, path, dataDir, history, deadLetters, profiles } = this.#parts;
    const { lifecycle, threadTracing, entry, onFatal } = this.#parts;
    const { held, logFolder } = dataDir;
    return new HttpThreads({
      count,
      entry: entry ?? HTTP_ENTRY,
      dataOf: (index) => ({
        producer: { ...path.producerOptions, producer: index },
        config,
        memory: this.#memory,
        logFolder,
        held,
        history: history?.control,
        tracing: threadTracing,
      }),
      takeBack: (index) => path.takeBack(index),
      desk: {
        logger,
        checks: () => lifecycle.checks(),
        history,
        deadLetters,
        profiles,
        figures: this.#figures,
        running: this.#running,
        uploadPlaces: this.#uploadRoom,
      },
      logger,
      onFatal,
    });
  }
}
