/** Variables of threads, queues and memory of the write path. Pure data, any thread. */
import { bytes, duration, GB, HOUR_MS, integer, KB, text } from '../variable.ts';

/** The largest and smallest part of MAX_MEMORY_USAGE that one shard may get: a shard is one buffer. */
export const SHARD_BYTES_MAX = 2 * GB;
export const SHARD_BYTES_MIN = 4 * KB;

export const WRITE_PATH = {
  workers: integer({
    env: 'WORKERS',
    defaultText: '3',
    minimum: 1,
    maximum: 64,
    description: 'Threads that apply events to the store; at most SHARDS, since each owns shards',
  }),
  queueSize: integer({
    env: 'QUEUE_SIZE',
    defaultText: '1000',
    minimum: 1,
    maximum: 1_048_576,
    description: 'Events in flight, exactly; one more is answered 503 with Retry-After',
  }),
  outcomeEvents: integer({
    env: 'OUTCOME_WINDOW',
    defaultText: '1000000',
    minimum: 1000,
    maximum: 1_073_741_824,
    description:
      'Events whose outcome can be asked for, the newest ones; a byte of memory each, and each of those not yet applied, rounded up to a power of two',
  }),
  bulkQueueSize: integer({
    env: 'BULK_QUEUE_SIZE',
    defaultText: '32768',
    minimum: 1,
    maximum: 1_048_576,
    description:
      'Events of batches in flight; a batch waits while there are more. They have a queue of their own (128 bytes an event), so that an import never fills the one of single events',
  }),
  shards: integer({
    env: 'SHARDS',
    defaultText: '16',
    minimum: 1,
    maximum: 1_024,
    description: 'Parts of the store, each written by one worker',
  }),
  storeBytesMax: bytes({
    env: 'MAX_MEMORY_USAGE',
    defaultText: '1GB',
    minimum: SHARD_BYTES_MIN,
    maximum: 1_024 * SHARD_BYTES_MAX,
    description:
      'Size of the store, which fixes how many products fit; divided by SHARDS it must lie between 4KB and 2GB',
  }),
  cleanupThreshold: text({
    env: 'CLEANUP_THRESHOLD',
    defaultText: '0.8',
    pattern: '^(off|0(\\.[0-9]{1,3})?|1)$',
    allowedText: 'off, or a share from 0 to 1, like 0.8',
    description:
      'Fill of the store from which on products are forgotten that were delisted longer than TOMBSTONE_RETENTION ago, so that new ones find room',
  }),
  cleanupIntervalMs: duration({
    env: 'GC_INTERVAL',
    defaultText: '30s',
    minimum: 100,
    maximum: HOUR_MS,
    description: 'How often it is looked whether there is something to forget, or to free',
  }),
  tombstoneRetentionMs: duration({
    env: 'TOMBSTONE_RETENTION',
    defaultText: '24h',
    minimum: 1,
    maximum: 366 * 24 * HOUR_MS,
    description:
      'How long a delisted product is remembered at least, so that an older event which comes late can not bring it back',
  }),
};
