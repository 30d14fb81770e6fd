/** The shared memory that a configuration asks for. Pure, main thread. */
import type { Config } from '../config/schema.ts';
import type { StorePlan } from '../store/sizing.ts';
import type { MemoryOptions } from './shared-memory.ts';

export function memoryOptionsOf(config: Config, store: StorePlan): MemoryOptions {
  const { queueSize, bulkQueueSize, dedupeEvents, outcomeEvents, workers } = config;
  return { queueSize, bulkQueueSize, dedupeEvents, outcomeEvents, appliers: workers, store };
}
