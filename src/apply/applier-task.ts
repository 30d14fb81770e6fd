/** What an applier's thread is given, and how it ends. Survives structured cloning. */
import type { SharedMemory } from '../threads/shared-memory.ts';

/** What a Piscina task that runs an applier is given. */
export interface ApplierTask {
  readonly memory: SharedMemory;
  /** Which applier, 0 …; it owns the shards whose number leaves this remainder. */
  readonly index: number;
}

/**
 * How an applier's task ends when it does not die:
 * - `closed`: the ring was closed and everything in it is applied.
 * - `no-room`: a new product did not fit; the slot is the one that its control block names.
 */
export type ApplierEnd = 'closed' | 'no-room';
