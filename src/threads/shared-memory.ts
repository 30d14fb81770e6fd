/**
 * What crosses the thread boundary: the shared buffers, made once by the main thread at start, and
 * the messages of the log thread. Everything here survives structured cloning.
 */
import { getRandomValues } from 'node:crypto';
import { APPLIER_CONTROL_BYTES } from '../apply/applier-control.ts';
import type { LogRetention, Removed } from '../checkpoint/retention.ts';
import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { PROGRESS_BYTES } from '../log/progress.ts';
import { OutcomeWindow } from '../outcome/outcome-window.ts';
import { CommitRing } from '../ring/commit-ring.ts';
import { IntakeRing } from '../ring/intake-ring.ts';
import type { HashKey } from '../store/id-hash.ts';
import { RestoreBoard } from '../store/restore-board.ts';
import { RestoredBefore } from '../store/restored-before.ts';
import { Shard } from '../store/shard.ts';
import type { StorePlan } from '../store/sizing.ts';

/** Slots of the commit ring at the least: lets appliers fall behind without stopping the log. */
const COMMIT_SLOTS_MIN = 16_384;

/** Every buffer that threads share; who writes what stands in the layouts. */
export interface SharedMemory {
  /** ring/intake-ring.ts: the live ring */
  readonly intake: SharedArrayBuffer;
  /** ring/intake-ring.ts: the bulk ring */
  readonly bulk: SharedArrayBuffer;
  /** ring/commit-ring.ts */
  readonly commit: SharedArrayBuffer;
  /** apply/applier-control.ts, one block for each applier. */
  readonly appliers: readonly SharedArrayBuffer[];
  /** store/shard.ts, one for each shard. */
  readonly shards: readonly SharedArrayBuffer[];
  /** outcome/outcome-window.ts */
  readonly outcomes: SharedArrayBuffer;
  /** dedupe/dedupe-window.ts */
  readonly dedupe: SharedArrayBuffer;
  /** log/progress.ts */
  readonly progress: SharedArrayBuffer;
  /** store/restored-before.ts */
  readonly restored: SharedArrayBuffer;
  /** store/restore-board.ts */
  readonly board: SharedArrayBuffer;
  /** Random for each data folder, whose checkpoint keeps it. */
  readonly hashKey: HashKey;
}

export interface MemoryOptions {
  readonly queueSize: number;
  /** Slots for batches; as few as there can be, unless given. */
  readonly bulkQueueSize?: number;
  readonly appliers: number;
  readonly store: StorePlan;
  /** Events whose outcome is kept; as few as there can be, unless given. */
  readonly outcomeEvents?: number;
  /** Keyed events that are remembered; as few as there can be, unless given. */
  readonly dedupeEvents?: number;
  /** Where the ring cursors start; tests put it just below the 32-bit wrap. */
  readonly firstCursor?: number;
  /** That of the data folder; a new one, unless given. */
  readonly hashKey?: HashKey | undefined;
}

/** Allocates everything, zeroed. The memory of the service is bounded by this from here on. */
export function createSharedMemory(options: MemoryOptions): SharedMemory {
  const { queueSize, bulkQueueSize = 1, appliers, store } = options;
  const { outcomeEvents = 1, dedupeEvents = 1, firstCursor = 0 } = options;
  // Twice the larger ring covers both.
  const commitSlots = Math.max(COMMIT_SLOTS_MIN, 2 * Math.max(queueSize, bulkQueueSize));
  const commit = CommitRing.create(commitSlots, appliers, firstCursor);
  return {
    intake: IntakeRing.create(queueSize, firstCursor).buffer,
    bulk: IntakeRing.create(bulkQueueSize, firstCursor).buffer,
    commit: commit.buffer,
    appliers: Array.from({ length: appliers }, () => new SharedArrayBuffer(APPLIER_CONTROL_BYTES)),
    shards: Array.from({ length: store.shards }, () => Shard.create(store.shard).buffer),
    outcomes: OutcomeWindow.create(outcomeEvents, commit.mask + 1),
    dedupe: DedupeWindow.create(dedupeEvents, firstCursor),
    progress: new SharedArrayBuffer(PROGRESS_BYTES),
    restored: RestoredBefore.create(store.shards),
    board: RestoreBoard.create(store.shards),
    hashKey: options.hashKey ?? newHashKey(),
  };
}

function newHashKey(): HashKey {
  const [k0, k1] = getRandomValues(new Int32Array(2)) as unknown as [number, number];
  return { k0, k1 };
}

/** What the log thread is started with. */
export interface LogThreadData {
  readonly memory: SharedMemory;
  /** Folder of the segments; it exists. */
  readonly folder: string;
  /** Folder of the checkpoints; it exists. */
  readonly checkpoints: string;
  readonly segmentBytesMax: number;
}

/** What the log thread tells the main thread. */
export type LogThreadMessage =
  /** How far a start has come; told about once a second. */
  | { readonly type: 'progress'; readonly doneBytes: number; readonly totalBytes: number }
  /** Something of a checkpoint is damaged; an older one, or the log from its beginning, serves instead. */
  | {
      readonly type: 'checkpoint-damaged';
      /** In the folder of the checkpoints. */
      readonly name: string;
      readonly replayFrom: number;
      readonly path: string;
      readonly offsetBytes: number;
      readonly reason: string;
    }
  /** Checkpoint and log were read and everything in them is applied. */
  | {
      readonly type: 'replayed';
      /** Products restored from the checkpoint. */
      readonly products: number;
      /** Of these, the ones that came from files of another form, key or number of shards. */
      readonly converted: number;
      /** Seq from which the log was replayed; 1 without a checkpoint. */
      readonly replayFrom: number;
      /** Events replayed from the log. */
      readonly events: number;
      readonly segments: number;
      readonly durationMs: number;
    }
  /** The intake is being served; said again by a successor. */
  | { readonly type: 'serving'; readonly nextSeq: number }
  /** A torn tail was cut off. */
  | {
      readonly type: 'torn-tail';
      readonly path: string;
      readonly offsetBytes: number;
      readonly bytes: number;
      readonly reason: string;
    }
  /** The log can't be written any more, or can again. */
  | { readonly type: 'storage'; readonly available: boolean; readonly reason: string }
  /** The start is refused; the thread ends. One line, meant for the operator. */
  | { readonly type: 'refused'; readonly reason: string }
  /** Asked to stop, and done; `clean` unless events were given up on because of a failing disk. */
  | { readonly type: 'closed'; readonly clean: boolean };

/** What a Piscina task that runs an applier is given. */
export interface ApplierTask {
  readonly memory: SharedMemory;
  /** Which applier, 0 …; it owns the shards whose number leaves this remainder. */
  readonly index: number;
  /** Folder of the checkpoints, whose restoring it helps with; `undefined` = it does not. */
  readonly checkpoints?: string | undefined;
}

/**
 * How an applier's task ends when it does not die:
 * - `closed`: the ring was closed and everything in it is applied.
 * - `no-room`: a replayed product did not fit; MAX_MEMORY_USAGE is smaller than the data.
 */
export type ApplierEnd = 'closed' | 'no-room';

/** What a checkpoint's thread is started with. */
export interface CheckpointThreadData {
  readonly memory: SharedMemory;
  /** Folder of the checkpoints. */
  readonly folder: string;
  readonly logFolder: string;
  readonly retention: LogRetention;
  /** Names of what is known to be damaged. */
  readonly damaged: readonly string[];
  /** Parts that start the replay before this seq are written anew. */
  readonly goal: number;
  /** All events before it are covered by what the service was started from, or by parts. */
  readonly coveredSeq: number;
  /** CHECKPOINT_EVERY. */
  readonly everyBytes: number;
  /** How fast the log grows. */
  readonly logBytesPerSecond: number;
  /** How fast the last round was while it worked; `undefined` = not known yet. */
  readonly bytesPerSecond: number | undefined;
  /** Whether to go no faster than needed, for the sake of the traffic. */
  readonly isPaced: boolean;
  /** One Int32; 1 = give it up, and notify. */
  readonly cancel: SharedArrayBuffer;
}

/** What a checkpoint's thread tells the main thread: of each part, and once how it ended. */
export type CheckpointMessage =
  | {
      readonly type: 'part';
      readonly name: string;
      /** Seq from which a start would replay now. */
      readonly replayFrom: number;
    }
  | {
      readonly type: 'checkpoint';
      readonly replayFrom: number;
      /** Parts written, windows among them. */
      readonly parts: number;
      readonly entries: number;
      readonly bytes: number;
      readonly durationMs: number;
      /** While it worked. */
      readonly bytesPerSecond: number;
      readonly removed: Removed;
    }
  | { readonly type: 'cancelled' }
  | { readonly type: 'failed'; readonly reason: string };
