/** The shared memory that a configuration asks for. Pure, main thread. */
import type { StorePlan } from '../store/sizing.ts';
import type { MemoryOptions } from './memory.ts';

/** The members of the configuration that it depends on, apart from the store's plan. */
export interface MemoryConfig {
  readonly queueSize: number;
  readonly bulkQueueSize: number;
  readonly dedupeEvents: number;
  readonly outcomeEvents: number;
  readonly workers: number;
  readonly httpThreads: number;
}

export function memoryOptionsOf(config: MemoryConfig, store: StorePlan): MemoryOptions {
  const { queueSize, bulkQueueSize, dedupeEvents, outcomeEvents, workers, httpThreads } = config;
  const sizes = { queueSize, bulkQueueSize, dedupeEvents, outcomeEvents };
  return { ...sizes, appliers: workers, producers: httpThreads, store };
}
