/**
 * The file log as checkpoints see it: which log it is, and which segments may go. Checkpoint thread; the
 * log thread only ever adds segments, at the other end.
 */
import { join } from 'node:path';
import type { KeptLog, Released, ReleaseRule } from './event-log.ts';
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
  identityAt(replayFrom: number): LogIdentity | undefined {
    return readIdentity(this.#files, this.#folder, replayFrom);
  }

  /** Throws what the file system throws; a second call goes on from there. */
  release(before: number, rule: ReleaseRule): Released {
    const segments = listSegments(this.#files, this.#folder);
    const ages = 'bytes' in rule.retention ? undefined : this.#createdTimes(segments, rule.nowMs);
    const sizes = this.#sizes(segments);
    const keep = segments.findIndex(
      (_, i) => !this.#isRemovable({ segments, ages, sizes }, i, before, rule),
    );
    let removed = 0;
    // Oldest first, so that what is left is always without gaps.
    for (const firstSeq of segments.slice(0, keep)) {
      this.#files.remove(join(this.#folder, segmentName(firstSeq)));
      this.#files.syncFolder(this.#folder);
      removed++;
      if (!rule.goOn()) break;
    }
    const futureSegments = ages?.future ?? 0;
    return { segments: removed, ...(futureSegments > 0 ? { futureSegments } : {}) };
  }

  /** Whether segment `i` may go, provided that all before it may. The newest never may. */
  #isRemovable(
    { segments, ages, sizes }: Present,
    i: number,
    before: number,
    { retention, holds, nowMs }: ReleaseRule,
  ): boolean {
    const next = segments[i + 1];
    if (next === undefined || next > before) return false;
    if (holds?.needs(next, () => sizes.bytesFrom(i)) === true) return false;
    if ('bytes' in retention) return sizes.bytesFrom(i + 1) >= retention.bytes;
    // All events of a segment are older than the next one.
    return (ages?.createdAtMs[i + 1] ?? nowMs) <= nowMs - retention.ageMs;
  }

  /**
   * When the segments were created, as far as that can be believed. One from the future of the clock was
   * made while the clock was wrong: it is older than the next one that is not, or than now. And none is
   * older than one before it, whatever a clock that was behind has written.
   */
  #createdTimes(segments: readonly number[], nowMs: number): CreatedTimes {
    const said = segments.map(
      (seq) => readSegmentHeader(this.#files, this.#folder, seq).createdAtMs,
    );
    const createdAtMs = [...said];
    for (let i = said.length - 1, nextMs = nowMs; i >= 0; i--) {
      if (said[i] <= nowMs) nextMs = said[i];
      createdAtMs[i] = nextMs;
    }
    for (let i = 1; i < said.length; i++) {
      createdAtMs[i] = Math.max(createdAtMs[i], createdAtMs[i - 1]);
    }
    return { createdAtMs, future: said.filter((ms) => ms > nowMs).length };
  }

  /**
   * Sizes when they are first asked for, each file being opened once: there may be a great many segments, of
   * which many may go. The newest may grow meanwhile, so that one more is kept until the next call.
   */
  #sizes(segments: readonly number[]): Sizes {
    let from: number[] | undefined;
    return {
      bytesFrom: (at) => {
        if (from === undefined) {
          from = segments.map((seq) => this.#size(seq));
          for (let i = from.length - 2; i >= 0; i--) from[i] += from[i + 1];
        }
        return from[at];
      },
    };
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

/** What is there when a release begins. */
interface Present {
  readonly segments: readonly number[];
  readonly ages: CreatedTimes | undefined;
  readonly sizes: Sizes;
}

interface Sizes {
  /** Bytes of segment `at` and all behind it. */
  bytesFrom(at: number): number;
}

interface CreatedTimes {
  /** When each segment was created, at the latest. */
  readonly createdAtMs: readonly number[];
  /** How many say that they were in the future. */
  readonly future: number;
}
