/**
 * What a service is made of, put together: memory, rings, store, intakes, change feed, and the threads'
 * supervisors. The log thread starts at once, the appliers when they are told to. Main thread. When
 * it opens, stops and ends is service.ts's.
 */
import type { Logger } from 'pino';
import { AppliedWatermark } from './apply/applied-watermark.ts';
import { ApplierPool } from './apply/applier-pool.ts';
import { EventOutcomes } from './apply/event-outcomes.ts';
import { ChangeFeed } from './changes/change-feed.ts';
import { changeHistory } from './changes/change-reader.ts';
import { EventChanges } from './changes/event-changes.ts';
import { LogHistory } from './changes/log-history.ts';
import { RingHistory } from './changes/ring-history.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import { readHashKey } from './checkpoint/part-files.ts';
import { parseRetention } from './checkpoint/retention.ts';
import type { Config } from './config/schema.ts';
import { DedupeWindow } from './dedupe/dedupe-window.ts';
import { ReceiptWindow } from './dedupe/receipt-window.ts';
import { FolderKeeper } from './folder/folder-keeper.ts';
import { BulkIntake } from './intake/bulk-intake.ts';
import { RingIntake } from './intake/ring-intake.ts';
import { SlotAdmission } from './intake/slot-admission.ts';
import type { DataDir } from './log/data-dir.ts';
import { DiskWatch } from './log/disk-watch.ts';
import { HeldFiles, heldPath } from './log/held-files.ts';
import { OutcomeReader, OutcomeWindow } from './outcome/outcome-window.ts';
import { CommitRing } from './ring/commit-ring.ts';
import { IntakeRing } from './ring/intake-ring.ts';
import { LogProgress } from './ring/progress.ts';
import { Admission } from './store/admission.ts';
import { Shard } from './store/shard.ts';
import { SharedProductStore } from './store/shared-product-store.ts';
import { planStore } from './store/sizing.ts';
import { ClockWatch } from './time/clock-watch.ts';
import { LogSupervisor } from './write-path/log-supervisor.ts';
import { createSharedMemory } from './write-path/memory.ts';
import { memoryOptionsOf } from './write-path/memory-options.ts';

export interface ServiceOptions {
  readonly config: Config;
  readonly logger: Logger;
  /** Where the ring cursors start (an Int32); tests put it just below the 32-bit wrap. */
  readonly firstCursor?: number;
  /** Modules of the threads, where a test wants others than those in workers/. */
  readonly threads?: { readonly applier?: URL; readonly log?: URL };
}

/** Told what the parts find out by themselves; on a later turn of the event loop. */
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
  /** One line: the service can't go on. */
  readonly onFatal: (reason: string) => void;
}

export interface Assembly {
  readonly store: SharedProductStore;
  readonly intake: RingIntake;
  readonly bulk: BulkIntake;
  /** The keys known to the sequencer. */
  readonly known: DedupeWindow;
  /** The receipts of batches known to it. */
  readonly receipts: ReceiptWindow;
  readonly progress: LogProgress;
  readonly watermark: AppliedWatermark;
  readonly outcomes: OutcomeReader;
  readonly events: EventOutcomes;
  readonly changes: ChangeFeed;
  readonly appliers: ApplierPool;
  readonly log: LogSupervisor;
  readonly checkpoints: Checkpointer;
  readonly diskWatch: DiskWatch;
  readonly folderKeeper: FolderKeeper;
  readonly clockWatch: ClockWatch;
}

const APPLIER_ENTRY = new URL('../workers/applier.ts', import.meta.url);
const LOG_ENTRY = new URL('../workers/log.ts', import.meta.url);

/** Assembles a service on the folder that `dataDir` holds; it takes nothing in yet. */
export function assemble(
  options: ServiceOptions,
  dataDir: DataDir,
  listener: AssemblyListener,
): Assembly {
  const { config, logger, firstCursor, threads } = options;
  const { logFolder, held } = dataDir;
  const { onStorage, onRemade, onWhole, onRoom, onReplayed, onFatal } = listener;
  const plan = planStore(config.storeBytesMax, config.shards);
  logger.info(
    { productsMax: plan.productsMax, storeBytes: config.storeBytesMax, shards: config.shards },
    `store: room for ${plan.productsMax} products`,
  );
  const { queueSize, bulkQueueSize, workers } = config;
  const memory = createSharedMemory({
    ...memoryOptionsOf(config, plan),
    // With it, what the checkpoint has can lie in memory as it is.
    hashKey: readHashKey(new HeldFiles(held), dataDir.checkpointFolder),
    ...(firstCursor === undefined ? {} : { firstCursor }),
  });
  const shards = memory.shards.map((buffer) => new Shard(buffer));

  const store = new SharedProductStore(shards, memory.hashKey);
  const rings = { live: new IntakeRing(memory.intake), bulk: new IntakeRing(memory.bulk) };
  const { storageTimeoutMs, batchesMax } = config;
  const admission = new SlotAdmission({
    store,
    admission: new Admission(shards, plan),
    shards: shards.length,
    hashKey: memory.hashKey,
  });
  const intake = new RingIntake({ ring: rings.live, queueSize, storageTimeoutMs, admission });
  const bulk = new BulkIntake({
    rings,
    queueSize: bulkQueueSize,
    batchesMax,
    admission,
    storageTimeoutMs,
  });
  const progress = new LogProgress(memory.progress);
  const commits = new CommitRing(memory.commit, workers);
  const watermark = new AppliedWatermark(commits, progress);
  const outcomes = new OutcomeReader({
    window: new OutcomeWindow(memory.outcomes),
    events: config.outcomeEvents,
    progress,
    applied: watermark,
  });
  const changes = new ChangeFeed({
    history: changeHistory(
      new RingHistory(commits, progress),
      new LogHistory({
        get folder() {
          return heldPath(held, logFolder);
        },
        progress,
        hashKey: memory.hashKey,
      }),
      new EventChanges(store, outcomes),
    ),
    progress,
    applied: watermark,
    limits: config,
    onError: (error) => logger.error({ err: error }, 'changes: the log could not be read'),
  });
  const appliers = new ApplierPool({
    memory,
    entry: threads?.applier ?? APPLIER_ENTRY,
    checkpoints: dataDir.checkpointFolder,
    held,
    logger,
    onFatal,
  });
  const events = new EventOutcomes({
    watermark,
    outcomes,
    deadIn: (from, to) => appliers.deadIn(from, to),
  });
  const log = new LogSupervisor({
    data: {
      memory,
      folder: logFolder,
      checkpoints: dataDir.checkpointFolder,
      segmentBytesMax: config.segmentBytesMax,
      held,
    },
    entry: threads?.log ?? LOG_ENTRY,
    logger,
    onStorage,
    onProgress: (done, total) => onReplayed(Math.floor((done / Math.max(total, 1)) * 100)),
    onDamagedCheckpoint: (name) => checkpoints.noteDamaged(name),
    onFatal,
  });
  const checkpoints = new Checkpointer({
    memory,
    folder: dataDir.checkpointFolder,
    logFolder,
    held,
    everyBytes: config.checkpointBytes,
    retention: parseRetention(config.logRetention),
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
    progress,
    checkpoints,
    logger,
    wakeLog: () => log.wake(),
    whenAppliedBefore: (seq) =>
      new Promise((resolve) => void watermark.whenApplied(seq - 1, resolve)),
    onRemade,
    onWhole,
    onFatal,
  });
  return {
    store,
    intake,
    bulk,
    known: new DedupeWindow(memory.dedupe, memory.hashKey),
    receipts: new ReceiptWindow(memory.receipts, memory.hashKey),
    progress,
    watermark,
    outcomes,
    events,
    changes,
    appliers,
    log,
    checkpoints,
    diskWatch,
    folderKeeper,
    clockWatch: new ClockWatch(logger),
  };
}
