/**
 * Allocates all shared memory of the write path and the store, once, at start. Main thread.
 */
import assert from 'node:assert/strict';
import { getRandomValues } from 'node:crypto';
import { APPLIER_CONTROL_BYTES } from '../apply/applier-control.ts';
import { DeadSeqs } from '../apply/dead-seqs.ts';
import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../dedupe/receipt-window.ts';
import { LogHolds } from '../log/log-holds.ts';
import { createThreadCounters, threadCountersBytes } from '../metrics/thread-counters.ts';
import { OutcomeWindow } from '../outcome/outcome-window.ts';
import { CommitRing } from '../ring/commit-ring.ts';
import { IntakeRing, nextPowerOfTwo } from '../ring/intake-ring.ts';
import { progressBytes } from '../ring/progress.ts';
import { PRODUCERS_MAX } from '../ring/slot.ts';
import { FreeingBounds } from '../store/freeing-bounds.ts';
import { RestoreBoard } from '../store/restore-board.ts';
import { RestoredBefore } from '../store/restored-before.ts';
import { Shard } from '../store/shard.ts';
import type { StorePlan } from '../store/sizing.ts';
import type { HashKey, ProducerMemory, SharedMemory } from '../threads/shared-memory.ts';
import { createTogether, togetherBytes } from './service-limits.ts';

/** Slots of the commit ring at the least: lets appliers fall behind without stopping the log. */
const COMMIT_SLOTS_MIN = 16_384;

export interface MemoryOptions {
  readonly queueSize: number;
  /** Slots for batches; as few as there can be, unless given. */
  readonly bulkQueueSize?: number;
  readonly appliers: number;
  /** Threads that take events in, the main thread one of them; it alone, unless given. */
  readonly producers?: number;
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

// Twice the larger ring covers both.
function commitSlotsOf({ queueSize, bulkQueueSize = 1 }: MemoryOptions): number {
  return Math.max(COMMIT_SLOTS_MIN, 2 * Math.max(queueSize, bulkQueueSize));
}

/** What `createSharedMemory` allocates, to the byte. */
export function sharedMemoryBytes(options: MemoryOptions): number {
  const { queueSize, bulkQueueSize = 1, appliers, store } = options;
  const { outcomeEvents = 1, dedupeEvents = 1, producers = 1 } = options;
  const commitSlots = commitSlotsOf(options);
  return (
    producers * (IntakeRing.bytes(queueSize) + IntakeRing.bytes(bulkQueueSize)) +
    CommitRing.bytes(commitSlots, appliers) +
    appliers * APPLIER_CONTROL_BYTES +
    store.shards * Shard.bytes(store.shard) +
    OutcomeWindow.bytes(outcomeEvents, nextPowerOfTwo(commitSlots)) +
    DeadSeqs.bytes +
    DedupeWindow.bytes(dedupeEvents) +
    ReceiptWindow.bytes(dedupeEvents) +
    progressBytes(producers - 1) +
    (producers > 1 ? togetherBytes(producers, store.shards) : 0) +
    LogHolds.bytes +
    FreeingBounds.bytes +
    RestoredBefore.bytes(store.shards) +
    RestoreBoard.bytes(store.shards) +
    threadCountersBytes(appliers)
  );
}

/** Allocates everything, zeroed. The memory of the service is bounded by this from here on. */
export function createSharedMemory(options: MemoryOptions): SharedMemory {
  const { queueSize, bulkQueueSize = 1, appliers, store } = options;
  const { outcomeEvents = 1, dedupeEvents = 1, firstCursor = 0, producers = 1 } = options;
  assert.ok(producers <= PRODUCERS_MAX, `at most ${PRODUCERS_MAX} threads take events in`);
  const commit = CommitRing.create(commitSlotsOf(options), appliers, firstCursor);
  const createRings = (): ProducerMemory => ({
    intake: IntakeRing.create(queueSize, firstCursor).buffer,
    bulk: IntakeRing.create(bulkQueueSize, firstCursor).buffer,
  });
  return {
    ...createRings(),
    further: Array.from({ length: producers - 1 }, createRings),
    ...(producers > 1 ? { together: createTogether(producers, store.shards) } : {}),
    commit: commit.buffer,
    appliers: Array.from({ length: appliers }, () => new SharedArrayBuffer(APPLIER_CONTROL_BYTES)),
    shards: Array.from({ length: store.shards }, () => Shard.create(store.shard).buffer),
    outcomes: OutcomeWindow.create(outcomeEvents, commit.mask + 1),
    dead: DeadSeqs.create(),
    dedupe: DedupeWindow.create(dedupeEvents, firstCursor),
    receipts: ReceiptWindow.create(dedupeEvents),
    progress: new SharedArrayBuffer(progressBytes(producers - 1)),
    holds: LogHolds.create(),
    freeing: FreeingBounds.create(),
    restored: RestoredBefore.create(store.shards),
    board: RestoreBoard.create(store.shards),
    counters: createThreadCounters(appliers),
    hashKey: options.hashKey ?? newHashKey(),
  };
}

function newHashKey(): HashKey {
  const [k0, k1] = getRandomValues(new Int32Array(2)) as unknown as [number, number];
  return { k0, k1 };
}
