/** Variables of what is on disk, how long it is kept, and how long the disk is waited for. Pure data, any thread. */
import { bytes, choice, duration, GB, HOUR_MS, MB, text } from '../variable.ts';

export const DISK = {
  segmentBytesMax: bytes({
    env: 'SEGMENT_SIZE',
    defaultText: '64MB',
    minimum: MB,
    maximum: GB,
    description: "Size of one of the log's files",
  }),
  storageTimeoutMs: duration({
    env: 'STORAGE_TIMEOUT',
    defaultText: '5s',
    minimum: 10,
    maximum: HOUR_MS,
    description: 'How long a write waits for a failing disk before it is answered 503',
  }),
  stallTimeoutMs: duration({
    env: 'STALL_TIMEOUT',
    defaultText: '5s',
    minimum: 100,
    maximum: HOUR_MS,
    description:
      'How long the log thread or a worker may stand still with events waiting before /readyz turns red and says which',
  }),
  checkpointBytes: bytes({
    env: 'CHECKPOINT_EVERY',
    defaultText: '256MB',
    minimum: MB,
    maximum: 1_024 * GB,
    description:
      'Log behind the oldest part of the checkpoint at the most, as long as the disk can keep up; it bounds what a start has to replay',
  }),
  logRetention: text({
    env: 'LOG_RETENTION',
    defaultText: '1GB',
    pattern: '^(0|[1-9][0-9]{0,14})([KMGT]i?B|B|ms|s|m|h)$',
    allowedText: 'a size like 1GB, or an age like 24h',
    description:
      'How much log is kept that the last two states of each part of the checkpoint do not need',
  }),
  history: text({
    env: 'HISTORY',
    defaultText: 'off',
    pattern: '^(off|forever|[1-9][0-9]{0,5}(s|m|h|d))$',
    allowedText: 'off, forever, or an age like 90d or 12h',
    description:
      'How long every value that price and stock ever had is kept, by event time; off keeps none',
  }),
  historyIn: choice(['file', 'postgres'], {
    env: 'HISTORY_IN',
    defaultText: 'file',
    description:
      'Where the history is kept: in history.sqlite in DATA_DIR, or in the database of the first postgres:// in SINKS',
  }),
  diskReserveBytes: bytes({
    env: 'DISK_RESERVE',
    defaultText: '64MB',
    minimum: 0,
    maximum: 1_024 * GB,
    description:
      'Free disk space below which writes are answered 503, so that there is always room to stop cleanly; 0 turns the watch off',
  }),
};
