/**
 * How MAX_MEMORY_USAGE becomes shards: pure arithmetic, done once at start.
 *
 * Ids spread over the shards by their hash, so shards fill unevenly. The number of products that is
 * promised leaves every shard six standard deviations of room above the mean, so that no shard is
 * full before the store is (a chance below 10^-8).
 */
import { ENTRY_BYTES, type ShardSize, shardSize } from './shard.ts';

const DEVIATIONS = 6;

export interface StorePlan {
  readonly shards: number;
  readonly shard: ShardSize;
  /** Products that fit, for certain: what admission goes by and what the start logs. */
  readonly productsMax: number;
}

/** Plans a store of `shards` shards in at most `bytesMax` bytes. `productsMax` may come out as 0. */
export function planStore(bytesMax: number, shards: number): StorePlan {
  const shard = shardSize(Math.floor(bytesMax / shards) - ENTRY_BYTES);
  if (shards === 1) return { shards, shard, productsMax: shard.entries };
  // Largest mean m with m + 6·√m ≤ entries.
  const half = DEVIATIONS / 2;
  const mean = (Math.sqrt(half * half + shard.entries) - half) ** 2;
  return { shards, shard, productsMax: Math.floor(mean * shards) };
}
