/**
 * The shared buffers by which threads are joined, as each thread is given them; it survives structured
 * cloning. Allocated by `write-path/memory.ts`. Types only.
 */

/** Two 32-bit words of secret. */
export interface HashKey {
  readonly k0: number;
  readonly k1: number;
}

/** The window of batches' receipts, and its index. */
export interface ReceiptMemory {
  readonly places: SharedArrayBuffer;
  readonly index: SharedArrayBuffer;
}

/** The rings of one thread that takes events in. */
export interface ProducerMemory {
  /** ring/intake-ring.ts: the live ring */
  readonly intake: SharedArrayBuffer;
  /** ring/intake-ring.ts: the bulk ring */
  readonly bulk: SharedArrayBuffer;
}

/** What several threads that take events in keep together. */
export interface TogetherMemory {
  /** threads/tallies.ts: write-path/service-limits.ts says which */
  readonly places: SharedArrayBuffer;
  /** intake/bulk-places.ts */
  readonly waits: SharedArrayBuffer;
  /** store/reservations.ts */
  readonly room: SharedArrayBuffer;
  /** write-path/admission-fence.ts */
  readonly fence: SharedArrayBuffer;
}

/** Every buffer that threads share; who writes what stands in the layouts. */
export interface SharedMemory extends ProducerMemory {
  /** Of threads that take events in beside the main thread, whose rings are the two above. */
  readonly further?: readonly ProducerMemory[];
  /** There where there are such threads. */
  readonly together?: TogetherMemory;
  /** ring/commit-ring.ts */
  readonly commit: SharedArrayBuffer;
  /** apply/applier-control.ts, one block for each applier. */
  readonly appliers: readonly SharedArrayBuffer[];
  /** store/shard.ts, one for each shard. */
  readonly shards: readonly SharedArrayBuffer[];
  /** outcome/outcome-window.ts */
  readonly outcomes: SharedArrayBuffer;
  /** apply/dead-seqs.ts */
  readonly dead: SharedArrayBuffer;
  /** dedupe/dedupe-window.ts */
  readonly dedupe: SharedArrayBuffer;
  /** dedupe/receipt-window.ts */
  readonly receipts: ReceiptMemory;
  /** ring/progress.ts */
  readonly progress: SharedArrayBuffer;
  /** log/log-holds.ts */
  readonly holds: SharedArrayBuffer;
  /** store/freeing-bounds.ts */
  readonly freeing: SharedArrayBuffer;
  /** store/restored-before.ts */
  readonly restored: SharedArrayBuffer;
  /** store/restore-board.ts */
  readonly board: SharedArrayBuffer;
  /** metrics/thread-counters.ts */
  readonly counters: SharedArrayBuffer;
  /** Random for each data folder, whose checkpoint keeps it. */
  readonly hashKey: HashKey;
}
