/** What an applier's thread is given, and how it ends. Survives structured cloning. */
import type { HeldFolder } from '../log/held-files.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';

/** What a Piscina task that runs an applier is given. */
export interface ApplierTask {
  readonly memory: SharedMemory;
  /** Which applier, 0 …; it owns the shards whose number leaves this remainder. */
  readonly index: number;
  /** Folder of the checkpoints, whose restoring it helps with; `undefined` = it does not. */
  readonly checkpoints?: string | undefined;
  /** The data folder that it lies in, where it is held and looked after. */
  readonly held?: HeldFolder | undefined;
}

/**
 * How an applier's task ends when it does not die:
 * - `closed`: the ring was closed and everything in it is applied.
 * - `no-room`: a new product did not fit; the slot is the one that its control block names.
 */
export type ApplierEnd = 'closed' | 'no-room';
