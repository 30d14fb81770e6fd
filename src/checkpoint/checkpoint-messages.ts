/** What a checkpoint's thread is given, and what it reports. Survives structured cloning. */
import type { SharedMemory } from '../threads/shared-memory.ts';
import type { LogRetention, Removed } from './retention.ts';

/** What a checkpoint's thread is started with. */
export interface CheckpointThreadData {
  readonly memory: SharedMemory;
  /** Folder of the checkpoints. */
  readonly folder: string;
  readonly logFolder: string;
  readonly retention: LogRetention;
  /** Checkpoints known to be damaged. */
  readonly damaged: readonly number[];
  /** Whether to go slowly for the sake of the traffic. */
  readonly isPaced: boolean;
  /** One Int32; 1 = give it up, and notify. */
  readonly cancel: SharedArrayBuffer;
}

/** What a checkpoint's thread tells the main thread, once. */
export type CheckpointMessage =
  | {
      readonly type: 'checkpoint';
      readonly replayFrom: number;
      readonly entries: number;
      readonly bytes: number;
      readonly durationMs: number;
      readonly removed: Removed;
    }
  | { readonly type: 'cancelled' }
  | { readonly type: 'failed'; readonly reason: string };
