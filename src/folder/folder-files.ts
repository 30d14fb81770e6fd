/**
 * Which files of the data folder a start would need, and whether they are still there: what a look
 * lists is compared with what earlier looks have seen. Only names are looked at, and size and inode of the newest segment.
 * Main thread; the file system is asked on libuv's threads.
 *
 * What may go without a word, because the service itself removes it (checkpoint/retention.ts): a
 * checkpoint that is older than the two newest, and a segment whose events both of these cover. The
 * log is listed first: whatever had been removed from it by then was covered by checkpoints that are
 * listed after it.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MANIFEST_NAME, parseCheckpointName } from '../checkpoint/format.ts';
import { parseSegmentName, type SegmentEnd, segmentName } from '../log/format.ts';
import { NEWEST_NAME } from '../log/newest-file.ts';

/** As many as retention keeps. */
const CHECKPOINTS_KEPT = 2;

export class FolderFiles {
  readonly #logFolder: string;
  readonly #checkpointFolder: string;
  #segments: number[] = [];
  #checkpoints = new Map<number, readonly string[]>();
  #tail: { readonly nonce: Buffer; readonly identity: string } | undefined;

  /** The folders as they are to be reached now. */
  constructor(logFolder: string, checkpointFolder: string) {
    this.#logFolder = logFolder;
    this.#checkpointFolder = checkpointFolder;
  }

  /**
   * Looks; returns what is missing, in words, or `undefined`. `tail` says how far the newest segment
   * counted before the look. Rejects with what the file system says when it can't be asked.
   */
  async missing(tail: SegmentEnd | undefined): Promise<string | undefined> {
    const names = await readdir(this.#logFolder);
    const segments = names.map(parseSegmentName).filter((seq) => seq !== undefined);
    segments.sort((a, b) => a - b);
    const checkpoints = await this.#listCheckpoints();
    const found =
      this.#missingCheckpoint(checkpoints) ??
      this.#missingSegment(segments, checkpoints, tail) ??
      // An open log has both, also when this is the first look at it.
      (tail === undefined ? undefined : uncovered(segments, checkpoints)) ??
      (tail !== undefined && !names.includes(NEWEST_NAME) ? NEWEST_NAME : undefined) ??
      (tail === undefined ? undefined : await this.#notItself(tail));
    this.#segments = segments;
    this.#checkpoints = checkpoints;
    return found;
  }

  async #listCheckpoints(): Promise<Map<number, readonly string[]>> {
    const names = await readdir(this.#checkpointFolder);
    const listed = names.flatMap((name) => {
      const seq = parseCheckpointName(name);
      return seq === undefined ? [] : [{ seq, name }];
    });
    listed.sort((a, b) => b.seq - a.seq);
    const checkpoints = new Map<number, readonly string[]>();
    for (const { seq, name } of listed.slice(0, CHECKPOINTS_KEPT)) {
      checkpoints.set(seq, await readdir(join(this.#checkpointFolder, name)).catch(() => []));
    }
    return checkpoints;
  }

  #missingCheckpoint(now: ReadonlyMap<number, readonly string[]>): string | undefined {
    const oldestKept = now.size < CHECKPOINTS_KEPT ? 0 : Math.min(...now.keys());
    for (const [seq, files] of this.#checkpoints) {
      if (seq < oldestKept) continue;
      const left = now.get(seq);
      if (left === undefined) return `the checkpoint before seq ${seq}`;
      const file = files.find((name) => !left.includes(name));
      if (file !== undefined) return `${file} of the checkpoint before seq ${seq}`;
    }
    for (const [seq, files] of now) {
      if (!files.includes(MANIFEST_NAME)) return `the manifest of the checkpoint before seq ${seq}`;
    }
    return undefined;
  }

  #missingSegment(
    now: readonly number[],
    checkpoints: ReadonlyMap<number, readonly string[]>,
    tail: SegmentEnd | undefined,
  ): string | undefined {
    const covered = checkpoints.size < CHECKPOINTS_KEPT ? 0 : Math.min(...checkpoints.keys());
    const newest =
      tail === undefined || this.#segments.includes(tail.firstSeq) ? [] : [tail.firstSeq];
    const known = [...this.#segments, ...newest];
    const gone = known.find((firstSeq, i) => {
      const next = known[i + 1];
      const isCovered = next !== undefined && next <= covered;
      return !now.includes(firstSeq) && !isCovered;
    });
    return gone === undefined ? undefined : segmentName(gone);
  }

  /** The segment that is written to must be the file that it was, and have what was flushed to it. */
  async #notItself({ firstSeq, endBytes, nonce }: SegmentEnd): Promise<string | undefined> {
    const name = segmentName(firstSeq);
    const { size, dev, ino } = await stat(join(this.#logFolder, name), { bigint: true });
    const before = this.#tail;
    this.#tail = { nonce, identity: `${dev}:${ino}` };
    if (before?.nonce.equals(nonce) === true && before.identity !== this.#tail.identity) {
      return `${name}, in whose place is another file`;
    }
    return size < endBytes ? `the end of ${name}` : undefined;
  }
}

/** A log that doesn't begin with seq 1 begins within what a checkpoint covers. */
function uncovered(
  [first = 1]: readonly number[],
  checkpoints: ReadonlyMap<number, readonly string[]>,
): string | undefined {
  if (first === 1 || Math.max(0, ...checkpoints.keys()) >= first) return undefined;
  return `every checkpoint that the log before seq ${first} is covered by`;
}
