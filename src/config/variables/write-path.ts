/** Variables of threads, queues and memory of the write path. Pure data, any thread. */
import { bytes, GB, integer, KB } from '../variable.ts';

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
};
