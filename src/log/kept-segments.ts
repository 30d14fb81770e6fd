/**
 * The file log as checkpoints see it: which log it is, and which segments may go. Checkpoint thread; the
 * log thread only ever adds segments, at the other end.
 */
import { join } from 'node:path';
import type { KeptLog, ReleaseRule } from './event-log.ts';
import type { FileSystem } from './file-system.ts';
import { segmentName } from './format.ts';
import { type LogIdentity, readIdentity } from './log-identity.ts';
import { listSegments, readSegmentHeader } from './segment-headers.ts';

export class KeptSegments implements KeptLog {
  readonly #files: FileSystem;
  readonly #folder: string;

  /** Of the segments in `folder`. */
  constructor(files: FileSystem, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  /** Throws what the file system throws, and LogDamagedError. */
  identityAt(replayFrom: number): LogIdentity {
    return readIdentity(this.#files, this.#folder, replayFrom);
  }

  /** Throws what the file system throws; a second call goes on from there. */
  release(before: number, rule: ReleaseRule): number {
    const segments = listSegments(this.#files, this.#folder);
    const keep = segments.findIndex((_, i) => !this.#isRemovable(segments, i, before, rule));
    let removed = 0;
    // Oldest first, so that what is left is always without gaps.
    for (const firstSeq of segments.slice(0, keep)) {
      this.#files.remove(join(this.#folder, segmentName(firstSeq)));
      this.#files.syncFolder(this.#folder);
      removed++;
      if (!rule.goOn()) break;
    }
    return removed;
  }

  /** Whether segment `i` may go, provided that all before it may. The newest never may. */
  #isRemovable(
    segments: readonly number[],
    i: number,
    before: number,
    { retention, holds, nowMs }: ReleaseRule,
  ): boolean {
    const next = segments[i + 1];
    if (next === undefined || next > before) return false;
    const bytesFrom = (at: number) =>
      segments.slice(at).reduce((sum, seq) => sum + this.#size(seq), 0);
    if (holds?.needs(next, bytesFrom(i)) === true) return false;
    if ('bytes' in retention) return bytesFrom(i + 1) >= retention.bytes;
    // All events of a segment are older than the next one.
    const { createdAtMs } = readSegmentHeader(this.#files, this.#folder, next);
    return createdAtMs <= nowMs - retention.ageMs;
  }

  #size(firstSeq: number): number {
    const file = this.#files.openForReading(join(this.#folder, segmentName(firstSeq)));
    try {
      return this.#files.size(file);
    } finally {
      this.#files.close(file);
    }
  }
}
