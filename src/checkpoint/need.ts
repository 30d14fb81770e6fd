/**
 * How much of the time a checkpoint must work to stay within CHECKPOINT_EVERY; pace.ts says what for.
 * Checkpoint thread; pure.
 */

/** A part that is still to be written, the furthest behind first. */
export interface PendingPart {
  /** Log behind its present state. */
  readonly behindBytes: number;
  /** What writing it takes, from now on. */
  readonly bytes: number;
}

export interface NeedOptions {
  readonly pending: readonly PendingPart[];
  readonly everyBytes: number;
  /** Log written in a second. */
  readonly logBytesPerSecond: number;
  /** What is written in a second of work. */
  readonly bytesPerSecond: number;
}

/** The share of the time, 0 or more; infinite when the bound is missed already. */
export function needOf({
  pending,
  everyBytes,
  logBytesPerSecond,
  bytesPerSecond,
}: NeedOptions): number {
  let workSeconds = 0;
  let need = 0;
  for (const { behindBytes, bytes } of pending) {
    const leftBytes = everyBytes - behindBytes;
    workSeconds += bytes / bytesPerSecond;
    if (leftBytes <= 0) return Number.POSITIVE_INFINITY;
    need = Math.max(need, (workSeconds * logBytesPerSecond) / leftBytes);
  }
  return need;
}
