/**
 * The service as a process: its log, its limits, its signals, its end. Main thread. What a service is
 * and how it stops is service.ts's.
 *
 * The end, whatever asks for it: Service.stop() has SHUTDOWN_TIMEOUT from the signal on, a timer ends
 * the process if that doesn't come back, and the exit flushes the log's last lines for as long as
 * somebody reads them. No step of it waits for a write.
 */
import { flushCompileCache } from 'node:module';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { hostInUrl } from '../config/host.ts';
import { natsSettings } from '../config/nats.ts';
import type { Config } from '../config/schema.ts';
import { changedConfig, secretsOf, shownConfig } from '../config/shown.ts';
import { lockRoot } from '../log/data-dir.ts';
import type { FolderLock } from '../log/folder-lock.ts';
import { keptGenesis } from '../replication/kept-genesis.ts';
import { Service } from '../service.ts';
import { planStore } from '../store/sizing.ts';
import { type TraceSettings, traceSettings } from '../tracing/trace-settings.ts';
import type { StartTracing, ThreadTracing } from '../tracing/tracing.ts';
import type { Membership } from '../write-path/replicated-log-source.ts';
import { fitOf } from './limits.ts';
import { LogOutput } from './log-output.ts';
import { readMachine } from './machine.ts';
import type { Signals } from './signals.ts';
import { FORMATS, VERSION } from './version.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

export async function runService(config: Config, signals: Signals): Promise<void> {
  const output = new LogOutput(secretsOf(config));
  const logger = output.logger(config.logLevel);
  endOnUncaught(logger, output);
  const { faults, warnings, httpConnectionsMax, memoryBytes } = fitOf(config, readMachine());
  if (faults.length > 0) return quit(output, EXIT_USAGE, faults.join('; '));
  const dataDir = resolve(config.dataDir);
  logger.info(
    { version: VERSION, node: process.version, dataDir, formats: FORMATS, memoryBytes },
    `product-service ${VERSION} on Node ${process.version}, process ${process.pid}, data in ${dataDir}`,
  );
  const changed = changedConfig(config);
  logger.info(
    { config: shownConfig(config) },
    `configuration: ${changed.length === 0 ? 'all as by default' : `${changed.join(' ')}, all else as by default`}`,
  );
  for (const warning of warnings) logger.warn(warning);
  const tracing = startTracing(logger, output);
  await new ServiceProcess({ ...config, httpConnectionsMax }, logger, output, tracing).run(signals);
}

/** The cluster that an instance has entered, and the lock of the folder in which it did. */
interface Entered {
  readonly cluster?: Membership;
  readonly rootLock?: FolderLock;
}

/** Loads only what is needed. */
async function membership(config: Config, logger: Logger, signals: Signals): Promise<Entered> {
  const { cluster: name, shards, dedupeEvents } = config;
  if (config.log !== 'jetstream' || name === undefined) {
    keptGenesis(config.dataDir, undefined);
    return {};
  }
  const { enterCluster } = await import('../joining/enter-cluster.ts');
  const nats = natsSettings(config);
  const shardEntries = planStore(config.storeBytesMax, shards).shard.entries;
  const { dataDir } = config;
  const rootLock = lockRoot(dataDir);
  const own = { name, nats, dataDir, shards, shardEntries, dedupeEvents };
  const genesis = await enterCluster(own, {
    onLine: (line) => logger.info(line),
    isStopping: () => signals.isStopping,
  });
  return { cluster: { name, nats, genesis, isReader: config.role === 'reader' }, rootLock };
}

class ServiceProcess {
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #output: LogOutput;
  readonly #tracing: TracingStart | undefined;
  #service: Service | undefined;
  /** When the service must have stopped, once somebody wants it to. */
  #untilMs: number | undefined;

  constructor(
    config: Config,
    logger: Logger,
    output: LogOutput,
    tracing: TracingStart | undefined,
  ) {
    this.#tracing = tracing;
    this.#config = config;
    this.#logger = logger;
    this.#output = output;
  }

  async run(signals: Signals): Promise<void> {
    const logger = this.#logger;
    signals.handle({
      stop: (signal, atMs) => {
        logger.info({ signal }, 'stopping');
        this.#expectEnd(atMs);
        // Else it stops as soon as it has started.
        if (this.#service !== undefined) void this.#stop(this.#service, 0);
      },
      again: (signal) => logger.warn({ signal }, 'second signal: exiting at once'),
      ignored: (signal) => {
        if (signal === 'SIGHUP' && this.#config.tlsCertPath !== undefined) void this.#reloadTls();
        else logger.info({ signal }, `${signal} changes nothing`);
      },
    });
    if (signals.isStopping) {
      logger.info('stopped');
      process.exit(0);
    }
    await this.#start(signals);
  }

  async #start(signals: Signals): Promise<void> {
    const logger = this.#logger;
    let service: Service;
    try {
      const entered = await membership(this.#config, logger, signals);
      const tracing = this.#tracing;
      service = await Service.start({
        config: this.#config,
        logger,
        tracing: tracing?.start,
        threadTracing: tracing?.ofThreads,
        ...entered,
      });
    } catch (error) {
      if (signals.isStopping) {
        logger.info({ reason: message(error) }, 'stopped before it had started');
        process.exit(0);
      }
      return quit(this.#output, EXIT_FAILED, message(error));
    }
    this.#service = service;
    if (signals.isStopping) return this.#stop(service, 0);
    await this.#serve(service, signals);
  }

  async #serve(service: Service, signals: Signals): Promise<void> {
    const logger = this.#logger;
    try {
      await service.ready();
    } catch (error) {
      if (service.phase === 'stopping' || service.phase === 'stopped') return;
      this.#expectEnd(performance.now());
      this.#output.say(await withRoomNeeded(this.#config, message(error)));
      return this.#stop(service, EXIT_FAILED);
    }
    if (service.phase !== 'ready') return;
    const { adminHost, tlsCertPath } = this.#config;
    const scheme = tlsCertPath === undefined ? 'http' : 'https';
    if (service.adminPort !== undefined) {
      logger.info(`administration on ${scheme}://${hostInUrl(adminHost)}:${service.adminPort}`);
    }
    logger.info(`ready on ${scheme}://${hostInUrl(this.#config.host)}:${service.port}`);
    // At the exit comes too late for a process that is killed; the threads do the same.
    flushCompileCache();
    const overtaken = service.overtaken.then((reason) => {
      logger.warn({ reason }, 'joining: stops, to start anew with the data of another instance');
      return undefined;
    });
    const reason = await Promise.race([service.failed, overtaken]);
    if (reason === undefined) {
      await service.stop();
      // Whoever asked for a stop meanwhile has been heard already.
      if (!signals.isStopping) await this.#start(signals);
      return;
    }
    logger.fatal({ reason }, 'the service can not go on');
    this.#expectEnd(performance.now());
    return this.#stop(service, EXIT_FAILED);
  }

  /** What can't be used leaves everything as it is. */
  async #reloadTls(): Promise<void> {
    const logger = this.#logger;
    try {
      const validTo = await this.#service?.http.reloadTls();
      if (validTo !== undefined) logger.info({ validTo }, 'TLS: certificate read anew');
    } catch (error) {
      logger.error({ reason: message(error) }, 'TLS: the certificate before stays');
    }
  }

  /** service.stop keeps to the same time; this is for a service that can't. */
  #expectEnd(fromMs: number): void {
    if (this.#untilMs !== undefined) return;
    this.#untilMs = fromMs + this.#config.shutdownTimeoutMs;
    this.#output.untilMs = this.#untilMs;
    setTimeout(() => {
      this.#logger.fatal('stopping took longer than SHUTDOWN_TIMEOUT');
      process.exit(EXIT_FAILED);
    }, this.#untilMs - performance.now()).unref();
  }

  async #stop(service: Service, codeIfClean: number): Promise<void> {
    const isClean = await service.stop();
    const { abandoned, wasReady } = service;
    const logger = this.#logger;
    if (abandoned > 0)
      logger.error(
        { events: abandoned },
        'stopped, but not all events that were claimed could be stored',
      );
    else if (!isClean && wasReady) logger.warn('stopped, but the log could not be closed in order');
    else logger.info('stopped');
    process.exit(isClean ? codeIfClean : EXIT_FAILED);
  }
}

interface TracingStart {
  readonly start: StartTracing;
  readonly ofThreads: ThreadTracing;
}

/** How traces are recorded, or `undefined` where they are not: then nothing of it is loaded either. */
function startTracing(logger: Logger, output: LogOutput): TracingStart | undefined {
  let settings: TraceSettings | undefined;
  try {
    settings = traceSettings(process.env);
  } catch (error) {
    return quit(output, EXIT_USAGE, message(error));
  }
  if (settings === undefined) return undefined;
  const { sampler, isParentBased, ratio } = settings;
  logger.info({ sampler, isParentBased, ratio, url: settings.url.split('?', 1)[0] }, 'tracing: on');
  const ofThreads = { settings, version: VERSION };
  const start: StartTracing = async (service) => {
    const { startOpenTelemetry } = await import('../tracing/open-telemetry.ts');
    return startOpenTelemetry({ ...ofThreads, logger }, service);
  };
  return { start, ofThreads };
}

/** What nobody expected ends the process at once, as Node would, but with a line where lines go. */
function endOnUncaught(logger: Logger, output: LogOutput): void {
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught error: exiting at once');
    output.say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exit(EXIT_FAILED);
  });
  // Node's own listener writes to standard error, and waits there.
  process.removeAllListeners('warning');
  process.on('warning', (warning) => logger.warn({ err: warning }, 'warning of Node'));
}

function quit(output: LogOutput, code: number, reason: string): never {
  output.say(reason);
  process.exit(code);
}

/** Loaded only for a start that is refused. */
async function withRoomNeeded(config: Config, reason: string): Promise<string> {
  return (await import('./room-needed.ts')).roomNeeded(config, reason);
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
