/** Variables of events that were taken: whose repetition is recognised, and who follows them. Pure data, any thread. */
import { bytes, duration, GB, HOUR_MS, integer, KB } from '../variable.ts';

export const EVENTS = {
  dedupeEvents: integer({
    env: 'DEDUPE_WINDOW',
    defaultText: '1000000',
    minimum: 1_000,
    maximum: 100_000_000,
    description:
      'Events with an Idempotency-Key or event_id whose repetition is known, at least; takes 32 bytes × the next power of two from 8,192 more than this (32 MB for the default), and 160 bytes for each batch whose key is remembered: as many, but 1,024 to 65,536',
  }),
  changesHeartbeatMs: duration({
    env: 'CHANGES_HEARTBEAT',
    defaultText: '15s',
    minimum: 1,
    maximum: HOUR_MS,
    description: 'How often a stream of changes says that it is alive while nothing changes',
  }),
  changesFollowersMax: integer({
    env: 'CHANGES_FOLLOWERS_MAX',
    defaultText: '2000',
    minimum: 0,
    maximum: 1_000_000,
    description: 'Streams of changes open at the same time; one more is turned away',
  }),
  changesBufferBytesMax: bytes({
    env: 'CHANGES_BUFFER',
    defaultText: '1MB',
    minimum: 64 * KB,
    maximum: GB,
    description:
      'What a stream of changes may hold for a client that reads too slowly, before that is dropped; clients share the memory of what they have in common',
  }),
};
