/** What a checkpoint's thread is given, and what it reports. Survives structured cloning. */
import type { LogRetention } from '../log/event-log.ts';
import type { HeldFolder } from '../log/held-files.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import type { Removed } from './retention.ts';

/** What a checkpoint's thread is started with. */
export interface CheckpointThreadData {
  readonly memory: SharedMemory;
  /** Folder of the checkpoints. */
  readonly folder: string;
  readonly logFolder: string;
  /** The data folder that both lie in, where it is held and looked after. */
  readonly held?: HeldFolder | undefined;
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
  /** Words that the main thread writes, and notifies of (pace.ts). */
  readonly control: SharedArrayBuffer;
}

/** What a checkpoint's thread reports to the main thread: each part, and once how it ended. */
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
      /** No start replays anything before it, whichever of the kept states it takes; 1 = unknown. */
      readonly twiceCoveredSeq: number;
    }
  | { readonly type: 'cancelled' }
  | { readonly type: 'failed'; readonly reason: string };
