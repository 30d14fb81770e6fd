/**
 * What a service is made of, put together: the write path and what stands around it. No thread runs
 * yet. Main thread. When it starts, opens, stops and ends is service.ts's.
 * (Over 300 lines: the one list of parts, in the order in which they need each other.)
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { AHEAD_MS, ChangeFeed } from './changes/change-feed.ts';
import { changeLimitMetrics, changeMetrics } from './changes/change-metrics.ts';
import { changeHistory } from './changes/change-reader.ts';
import { EventChanges } from './changes/event-changes.ts';
import { RingHistory } from './changes/ring-history.ts';
import { checkpointMetrics } from './checkpoint/checkpoint-metrics.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import { readHashKey } from './checkpoint/part-files.ts';
import { parseRetention } from './checkpoint/retention.ts';
import { Cleanup } from './cleanup/cleanup.ts';
import { cleanupMetrics } from './cleanup/cleanup-metrics.ts';
import type { Config } from './config/schema.ts';
import { historyDatabase, sinksOf } from './config/sinks.ts';
import { FolderKeeper } from './folder/folder-keeper.ts';
import { createHeartbeats, loopWork } from './health/heartbeats.ts';
import { ProgressWatch } from './health/progress-watch.ts';
import { threadWork } from './health/thread-work.ts';
import { historyMetrics } from './history/history-metrics.ts';
import type { HistoryTarget } from './history/history-store.ts';
import { parseHistory } from './history/keeping.ts';
import { ProductHistory } from './history/product-history.ts';
import { HISTORY_FILE } from './history/sqlite/history-schema.ts';
import { createOpen, openCountsOf } from './limits/open-counts.ts';
import { inWords } from './log/access.ts';
import type { DataDir } from './log/data-dir.ts';
import { diskMetrics } from './log/disk-metrics.ts';
import { DiskWatch } from './log/disk-watch.ts';
import type { FolderLock } from './log/folder-lock.ts';
import { HeldFiles } from './log/held-files.ts';
import { EventLoopDelay } from './metrics/event-loop-delay.ts';
import { processMetrics } from './metrics/process-metrics.ts';
import { MetricsRegistry } from './metrics/registry.ts';
import type { SlotContent } from './ring/slot.ts';
import { DeadLetterOffice } from './sinks/dead-letter-office.ts';
import { LetterDesk } from './sinks/letter-desk.ts';
import { sinkMetrics } from './sinks/sink-metrics.ts';
import { SinkStats } from './sinks/sink-stats.ts';
import { lettersPath, Sinks, type SinksOptions } from './sinks/sinks.ts';
import { planStore } from './store/sizing.ts';
import { storeMetrics } from './store/store-metrics.ts';
import type { SharedMemory } from './threads/shared-memory.ts';
import { ClockWatch } from './time/clock-watch.ts';
import type { StartTracing, ThreadTracing } from './tracing/tracing.ts';
import { fileLog, type LogSource } from './write-path/log-source.ts';
import { memoryOptionsOf } from './write-path/memory-options.ts';
import { type Membership, replicatedLog } from './write-path/replicated-log-source.ts';
import { type HttpThreadsSeen, threadMetrics } from './write-path/thread-metrics.ts';
import { WritePath } from './write-path/write-path.ts';
import { writePathMetrics } from './write-path/write-path-metrics.ts';

export interface ServiceOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Where the ring cursors start (an Int32); tests put it just below the 32-bit wrap. */
  readonly firstCursor?: number;
  /** The cluster that it belongs to; none = the log is its own. */
  readonly cluster?: Membership | undefined;
  /** The data folder's, if it was taken before (log/data-dir.ts). */
  readonly rootLock?: FolderLock | undefined;
  /** Another log than the one in the data folder. */
  readonly log?: LogSource;
  /** Starts to record traces; none = tracing is off. */
  readonly tracing?: StartTracing | undefined;
  /** The same for the other threads that serve HTTP. */
  readonly threadTracing?: ThreadTracing | undefined;
  /** Modules of the threads, where a test wants others than those in workers/. */
  readonly threads?: { readonly applier?: URL; readonly log?: URL; readonly http?: URL };
}

/** Notified of what the parts find out by themselves; on a later turn of the event loop. */
export interface AssemblyListener {
  /** Whether the log can be written. */
  readonly onStorage: (available: boolean) => void;
  /** The data folder was made anew, perhaps as another one: lays claim to it as well. */
  readonly onRemade: () => Promise<void>;
  /** Whether the files of what was acknowledged are still there. */
  readonly onWhole: (isWhole: boolean) => void;
  /** Whether the disk has more room than DISK_RESERVE. */
  readonly onRoom: (enough: boolean) => void;
  /** How much of the log is replayed. */
  readonly onReplayed: (percent: number) => void;
  /** It has to start anew, with the data of another instance. One line. */
  readonly onOvertaken: (reason: string) => void;
  /** One line: the service can't go on. */
  readonly onFatal: (reason: string) => void;
  /** Who is stalled is another set than before. */
  readonly onStalls: () => void;
  /** The threads that serve HTTP beside the main thread; `undefined` while or where there are none. */
  readonly httpThreads: () => HttpThreadsSeen | undefined;
  /** Whether the log is held up by its disk, or waits for files to be saved, as it said itself. */
  readonly isLogExcused: () => boolean;
}

export interface Assembly {
  readonly path: WritePath;
  readonly changes: ChangeFeed;
  /** What all threads that serve HTTP have open; limits/open-counts.ts. */
  readonly open: SharedArrayBuffer;
  /** What the places of products are called where all instances of a cluster have the same. */
  readonly placesName: string | undefined;
  /** That they come round; health/heartbeats.ts. */
  readonly beats: SharedArrayBuffer;
  readonly checkpoints: Checkpointer;
  /** `undefined` = HISTORY is off. */
  readonly history: ProductHistory | undefined;
  readonly diskWatch: DiskWatch;
  readonly folderKeeper: FolderKeeper;
  readonly clockWatch: ClockWatch;
  /** What `/metrics` shows; `undefined` with METRICS=false. */
  readonly metrics: MetricsRegistry | undefined;
  readonly loopDelay: EventLoopDelay | undefined;
  readonly progressWatch: ProgressWatch;
  /** Products that fit into the store. */
  readonly productsMax: number;
  /** Forgets products that are gone, and has their places freed. */
  readonly cleanup: Cleanup;
  readonly sinks: Sinks;
  readonly letterDesk: LetterDesk;
  readonly deadLetters: DeadLetterOffice;
}

/** Assembles a service on the folder that `dataDir` holds; it takes nothing in yet. */
export function assemble(
  options: ServiceOptions,
  dataDir: DataDir,
  listener: AssemblyListener,
): Assembly {
  const { config, logger, firstCursor, threads } = options;
  const { logFolder, held } = dataDir;
  const { onStorage, onRemade, onWhole, onRoom, onReplayed, onFatal } = listener;
  const { onOvertaken, onStalls, isLogExcused } = listener;
  const plan = planStore(config.storeBytesMax, config.shards);
  logger.info(
    { productsMax: plan.productsMax, storeBytes: config.storeBytesMax, shards: config.shards },
    `store: room for ${plan.productsMax} products`,
  );
  const { batchesMax, storageTimeoutMs, isMetered } = config;
  const { cluster } = options;
  const namedSinks = sinksOf(config).map((sink) => ({ ...sink, stats: SinkStats.create() }));
  const log =
    options.log ??
    (cluster === undefined
      ? fileLog(dataDir, config.segmentBytesMax, threads?.log)
      : replicatedLog(
          dataDir,
          config.segmentBytesMax,
          cluster,
          config.httpThreads,
          sharedOf(namedSinks),
        ));
  const path = new WritePath(
    {
      ...memoryOptionsOf(config, plan),
      // With it, what the checkpoint has can lie in memory as it is.
      hashKey: cluster?.genesis.hashKey ?? keptHashKey(dataDir),
      ...(firstCursor === undefined ? {} : { firstCursor }),
      batchesMax,
      storageTimeoutMs,
      log,
      notesAges: isMetered,
      applierEntry: threads?.applier,
      logger,
    },
    {
      // A note of the service's own is nobody's event.
      onDead: (content, reason) => {
        if (content.isForget !== true) void keepDead(content, reason);
      },
      onStorage,
      onProgress: (done, total) => onReplayed(Math.floor((done / Math.max(total, 1)) * 100)),
      onDamagedCheckpoint: (name) => checkpoints.noteDamaged(name),
      onOvertaken,
      onFatal,
    },
  );
  const { memory, store, progress, watermark, outcomes } = path;
  const open = createOpen(config.httpThreads);
  const beats = createHeartbeats(config.httpThreads);
  const changes = new ChangeFeed({
    history: changeHistory(
      new RingHistory(path.commits, progress),
      path.history,
      new EventChanges(store, outcomes),
      memory.hashKey,
    ),
    progress,
    watermark,
    limits: config,
    places: openCountsOf(open, 0, config).followers,
    onError: (error) => logger.error({ err: error }, 'changes: the log could not be read'),
    aheadMs: log.isShared === true ? AHEAD_MS : 0,
  });
  const checkpoints = new Checkpointer({
    memory,
    folder: dataDir.checkpointFolder,
    logFolder,
    otherLog: log.checkpoint,
    held,
    everyBytes: config.checkpointBytes,
    retention: parseRetention(config.logRetention),
    logger,
  });
  const keeping = parseHistory(config.history);
  const history =
    keeping &&
    new ProductHistory({
      memory,
      target: () => historyTarget(options, dataDir, sinks),
      freedUntil: () => sinks.freedUntil,
      logFolder,
      held,
      holds: path.holds,
      outcomeEvents: config.outcomeEvents,
      keepMs: keeping.keepMs,
      logger,
    });
  const diskWatch = new DiskWatch({
    folder: logFolder,
    reserveBytes: config.diskReserveBytes,
    onRoom: (enough, freeBytes) => {
      onRoom(enough);
      if (enough) logger.info({ freeBytes }, 'disk: enough room again');
      else logger.error({ freeBytes }, 'disk: less room than DISK_RESERVE, refusing writes');
    },
  });
  const folderKeeper = new FolderKeeper({
    dataDir,
    newestSegment: () => log.newestSegment?.(progress),
    checkpoints,
    logger,
    wakeLog: () => path.log.wake(),
    whenAppliedBefore: (seq) =>
      new Promise((resolve) => void watermark.whenApplied(seq - 1, resolve)),
    onRemade,
    onWhole,
    onFatal,
  });
  const sinks = makeSinks(options, namedSinks, memory, dataDir);
  const letterDesk = new LetterDesk({
    path: lettersPath(dataDir.root),
    lettersMax: config.deadLettersMax,
  });
  const deadLetters = new DeadLetterOffice({ desk: letterDesk, sinks, intake: path.intake });
  const cleanup = new Cleanup({
    memory,
    commitCursors: path.commits.cursors,
    productsMax: plan.productsMax,
    bulk: path.bulk,
    limits: {
      // When a place is free again each instance decides for itself, so no cluster frees any.
      threshold:
        config.cleanupThreshold === 'off' || cluster !== undefined
          ? 2
          : Number(config.cleanupThreshold),
      intervalMs: config.cleanupIntervalMs,
      retentionMs: config.tombstoneRetentionMs,
    },
    watermark,
    decisionsApplied: () => path.decisionsApplied(),
    checkpoints,
    sinks,
    nowMs: Date.now,
    logger,
  });
  const keepDead = async (content: SlotContent, reason: string) => {
    try {
      if (await deadLetters.keepEvent(content, reason)) return;
      logger.error({ event: content }, 'dead letters: no room for a dead event (DEAD_LETTERS_MAX)');
    } catch (error) {
      logger.error({ err: error, event: content }, 'dead letters: a dead event could not be kept');
    }
  };
  const metrics = isMetered ? new MetricsRegistry() : undefined;
  const loopDelay = isMetered ? new EventLoopDelay() : undefined;
  if (metrics !== undefined && loopDelay !== undefined) {
    writePathMetrics(metrics, path, config);
    threadMetrics(metrics, path, listener.httpThreads);
    storeMetrics(metrics, memory.shards, plan);
    cleanupMetrics(metrics, cleanup, memory.counters, config.workers);
    diskMetrics(metrics, dataDir);
    checkpointMetrics(metrics, checkpoints);
    changeMetrics(metrics, changes, watermark);
    changeLimitMetrics(metrics, config.changesFollowersMax);
    historyMetrics(metrics, history, watermark);
    sinkMetrics(metrics, sinks, letterDesk, () => watermark.seq);
    processMetrics(metrics, loopDelay);
  }
  return {
    path,
    changes,
    open,
    placesName: log.placesName,
    beats,
    checkpoints,
    history,
    diskWatch,
    folderKeeper,
    clockWatch: new ClockWatch(logger),
    metrics,
    loopDelay,
    progressWatch: new ProgressWatch({
      works: [
        ...threadWork({ rings: path.rings, commits: path.commits, isLogExcused }),
        ...loopWork(beats, config.stallTimeoutMs),
      ],
      limitMs: config.stallTimeoutMs,
      onStall: (stall) => {
        logger.error(stall, `watchdog: ${stall.name} makes no progress`);
        onStalls();
      },
      onProgress: (name) => {
        logger.info({ name }, `watchdog: ${name} goes on`);
        onStalls();
      },
    }),
    productsMax: plan.productsMax,
    cleanup,
    sinks,
    letterDesk,
    deadLetters,
  };
}

/** What other threads may know: not where they are. */
function sharedOf(sinks: SinksOptions['sinks']): { name: string; stats: SharedArrayBuffer }[] {
  return sinks.map(({ name, stats }) => ({ name, stats }));
}

function makeSinks(
  options: ServiceOptions,
  sinks: SinksOptions['sinks'],
  memory: SharedMemory,
  { root }: DataDir,
): Sinks {
  const { config, logger, cluster } = options;
  return new Sinks({
    sinks,
    cluster: cluster && clusterOwner(cluster.genesis),
    memory,
    root,
    limits: {
      batchSize: config.sinkBatchSize,
      flushIntervalMs: config.sinkFlushIntervalMs,
      retryAttemptsMax: config.retryAttemptsMax,
      retryInitialMs: config.retryInitialMs,
      retryMaxMs: config.retryMaxMs,
      breakerThreshold: config.breakerThreshold,
      breakerTimeoutMs: config.breakerTimeoutMs,
    },
    holdMs: config.sinkHoldMs,
    timeoutMs: config.sinkTimeoutMs,
    connectionsMax: config.sinkConnectionsMax,
    lettersMax: config.deadLettersMax,
    logger,
  });
}

/** Beside the sink's connection and that of the history's writer. */
const HISTORY_READERS_MAX = 8;

function historyTarget(
  { config, cluster }: ServiceOptions,
  { root }: DataDir,
  sinks: Sinks,
): HistoryTarget {
  const database = historyDatabase(config);
  if (database === undefined) return { kind: 'file', path: join(root, HISTORY_FILE) };
  const { url, schema } = database;
  return {
    kind: 'postgres',
    url,
    schema,
    ...(cluster === undefined
      ? { identity: sinks.identity, isShared: false }
      : { ...clusterOwner(cluster.genesis), isShared: true }),
    timeoutMs: config.sinkTimeoutMs,
    connectionsMax: Math.min(HISTORY_READERS_MAX, config.sinkConnectionsMax - 2),
  };
}

/** Each generation of a cluster gives seqs of its own behind the one with which it began. */
function clusterOwner({ id, generation = 1, base }: Membership['genesis']) {
  const nameOf = (number: number) => (number === 1 ? id : `${id}/${number}`);
  const before = base && { identity: nameOf(generation - 1), seqMax: base.seq };
  return { identity: nameOf(generation), before };
}

/** The key of the newest checkpoint; throws, in words, where it can't be read. */
function keptHashKey({ held, checkpointFolder }: DataDir): ReturnType<typeof readHashKey> {
  try {
    return readHashKey(new HeldFiles(held), checkpointFolder);
  } catch (error) {
    throw new Error(`can't read the checkpoint in ${checkpointFolder}: ${inWords(error)}`);
  }
}
