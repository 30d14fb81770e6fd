/**
 * How MAX_MEMORY_USAGE becomes shards: pure arithmetic, done once at start.
 *
 * Ids spread over the shards by their hash, so shards fill unevenly. The number of products that is
 * promised leaves every shard so much room above the mean that the chance of one of them being full
 * before the store is stays below 10^-8, by Chernoff's bound for a Poisson number (which bounds the
 * binomial one too), summed over the shards.
 */
import { ENTRY_BYTES, type ShardSize, shardSize } from './shard.ts';

const CHANCE_MAX = 1e-8;

export interface StorePlan {
  readonly shards: number;
  readonly shard: ShardSize;
  /** Products that fit, for certain: what admission goes by and what the start logs. */
  readonly productsMax: number;
}

/** Plans a store of `shards` shards in at most `bytesMax` bytes. `productsMax` may come out as 0. */
export function planStore(bytesMax: number, shards: number): StorePlan {
  const shard = shardSize(Math.floor(bytesMax / shards) - ENTRY_BYTES);
  let fits = 0;
  let over = shards * shard.entries + 1;
  while (over - fits > 1) {
    const products = Math.floor((fits + over) / 2);
    if (shards === 1 || overflowChance(products / shards, shard.entries) * shards <= CHANCE_MAX) {
      fits = products;
    } else over = products;
  }
  return { shards, shard, productsMax: fits };
}

/** An upper bound of the chance that a shard of `entries` gets more, at `mean` > 0 on average. */
function overflowChance(mean: number, entries: number): number {
  const least = entries + 1;
  return least <= mean ? 1 : Math.exp(least - mean - least * Math.log(least / mean));
}
