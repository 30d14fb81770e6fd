/**
 * Whether a configuration fits the machine: memory and open files. Pure arithmetic, done before
 * anything is opened, so that nothing runs out in the middle of an import. Main thread.
 *
 * The store's pages are touched only as products come: a store that is too large for the machine starts
 * without a fault, and is killed by the kernel at the millionth product.
 */
import { formatBytes } from '../config/quantity.ts';
import type { Config } from '../config/schema.ts';
import { sinksOf } from '../config/sinks.ts';
import { planStore } from '../store/sizing.ts';
import { sharedMemoryBytes } from '../write-path/memory.ts';
import { memoryOptionsOf } from '../write-path/memory-options.ts';
import type { Machine } from './machine.ts';

const MB = 1 << 20;
/**
 * What the process takes beside its shared memory: measured after a start with 1, 3 and 8 workers (175,
 * 203 and 308 MB), and what the heaps grow by under load and a checkpoint's thread takes.
 */
const PROGRAM_BYTES = 224 * MB;
const WORKER_BYTES = 20 * MB;
/** A further thread that serves HTTP: 56 MB after a start, and what its heap grows by under load. */
const HTTP_THREAD_BYTES = 96 * MB;
/** A sink's thread, its window and its client. */
const SINK_BYTES = 48 * MB;
/** What a batch may take while it is validated, times BATCH_LIMIT: the configuration's own words. */
const BATCH_FACTOR = 4;

/** Descriptors kept for the log, checkpoints, the change feed's files and the program itself. */
const FILES_RESERVED = 64;
const FILES_RESERVED_PER_WORKER = 8;
const FILES_RESERVED_PER_SINK = 16;
/** With fewer connections than this it is no service. */
const CONNECTIONS_MIN = 8;

export interface Fit {
  /** Why it can't be started, one sentence each; none = it can. */
  readonly faults: readonly string[];
  /** What should be known, though it can. */
  readonly warnings: readonly string[];
  /** HTTP_MAX_CONNECTIONS, or as many as there are descriptors for. */
  readonly httpConnectionsMax: number;
  /** What it takes at the most, without batches. */
  readonly memoryBytes: number;
}

export function fitOf(config: Config, machine: Machine): Fit {
  const faults: string[] = [];
  const warnings: string[] = [];
  const memoryBytes = memoryNeed(config);
  const memoryFault = faultOfMemory(config, machine, memoryBytes);
  if (memoryFault !== undefined) faults.push(memoryFault);
  else {
    const warning = warningOfBatches(config, machine, memoryBytes);
    if (warning !== undefined) warnings.push(warning);
  }

  let { httpConnectionsMax } = config;
  const { filesMax } = machine;
  if (filesMax !== undefined) {
    const reserved =
      FILES_RESERVED +
      FILES_RESERVED_PER_WORKER * config.workers +
      FILES_RESERVED_PER_SINK * sinksOf(config).length;
    if (filesMax - reserved < Math.min(CONNECTIONS_MIN, httpConnectionsMax)) {
      faults.push(
        `${filesMax} open files are too few (ulimit -n): ${reserved} are kept for the log with WORKERS=${config.workers}, and each connection takes one`,
      );
    } else if (filesMax - reserved < httpConnectionsMax) {
      httpConnectionsMax = filesMax - reserved;
      warnings.push(
        `${httpConnectionsMax} connections at the most, not HTTP_MAX_CONNECTIONS=${config.httpConnectionsMax}: ${filesMax} files may be open (ulimit -n) and ${reserved} are kept for the log`,
      );
    }
  }
  return { faults, warnings, httpConnectionsMax, memoryBytes };
}

/** All that a full store, rings, windows, threads and heaps take. */
function memoryNeed(config: Config): number {
  const plan = planStore(config.storeBytesMax, config.shards);
  const shared = sharedMemoryBytes(memoryOptionsOf(config, plan));
  const sinks = SINK_BYTES * sinksOf(config).length;
  const http = HTTP_THREAD_BYTES * (config.httpThreads - 1);
  return shared + PROGRAM_BYTES + WORKER_BYTES * config.workers + http + sinks;
}

function faultOfMemory(
  config: Config,
  { memoryBytes, memoryOwner }: Machine,
  need: number,
): string | undefined {
  if (need <= memoryBytes) return undefined;
  const fits = Math.floor((config.storeBytesMax - (need - memoryBytes)) / MB) * MB;
  const remedy =
    fits >= MB
      ? `MAX_MEMORY_USAGE=${formatBytes(fits)} fits`
      : 'no MAX_MEMORY_USAGE fits: give it more memory, or lower DEDUPE_WINDOW, OUTCOME_WINDOW, BULK_QUEUE_SIZE or WORKERS';
  return `MAX_MEMORY_USAGE=${formatBytes(config.storeBytesMax)} makes ${inMb(need)} with rings, windows, threads and heap, but ${memoryOwner} ${inMb(memoryBytes)}: ${remedy}`;
}

function warningOfBatches(
  config: Config,
  { memoryBytes, memoryOwner }: Machine,
  need: number,
): string | undefined {
  const batchBytes = BATCH_FACTOR * config.batchBytesMax;
  const most = need + batchBytes * config.batchesMax;
  if (most <= memoryBytes) return undefined;
  const fits = Math.floor((memoryBytes - need) / batchBytes);
  const remedy =
    fits >= 1 ? `BATCH_CONCURRENCY=${fits} fits` : 'a lower BATCH_LIMIT or MAX_MEMORY_USAGE fits';
  return `${config.batchesMax} batches of BATCH_LIMIT=${formatBytes(config.batchBytesMax)} at a time would make ${inMb(most)}, but ${memoryOwner} ${inMb(memoryBytes)}: ${remedy}`;
}

function inMb(bytes: number): string {
  return `${Math.ceil(bytes / MB)}MB`;
}
