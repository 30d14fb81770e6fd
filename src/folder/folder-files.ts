/**
 * Which files of the data folder a start would need, and whether they are still there: what a look
 * lists is compared with what earlier looks have seen. Only names are looked at, and size and inode of the newest segment.
 * Main thread; the file system is asked on libuv's threads.
 *
 * What may go without a word, because the service itself removes it (checkpoint/retention.ts): a part,
 * or windows, older than the two newest; whole checkpoints of format 1 and parts of another key or number
 * of shards once there are two of everything else; and a segment whose events all of these cover. The
 * log is listed first: whatever had been removed from it by then was covered by what is listed after it.
 * And a name that comes while a folder is listed may be missed, and the one that goes because of it too;
 * a round of checkpoints does that with one part after the other. So what is missing is missing only
 * if it was at each of some looks.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { MANIFEST_NAME, parseCheckpointName, parseWindowsName } from '../checkpoint/format.ts';
import { parsePartName } from '../checkpoint/part-format.ts';
import { parseSegmentName, type SegmentEnd, segmentName } from '../log/format.ts';
import { NEWEST_NAME } from '../log/newest-file.ts';

/** How often something must be missing, one look after the other, to be lost. */
const LOOKS = 10;
const BETWEEN_LOOKS_MS = 10;

/** As many of each as retention keeps. */
const KEPT = 2;

/** A part, windows, or a whole checkpoint. */
interface Saved {
  readonly name: string;
  readonly seq: number;
  /** In words. */
  readonly what: string;
  /** Of which key and number of shards a part is; `windows` and `whole` else. */
  readonly set: string;
  /** One of these replaces the older ones. */
  readonly series: string;
  /** What lies in the folder, if it is one. */
  readonly files: readonly string[] | undefined;
}

/** All there is of the checkpoints at one look. */
class SavedFiles {
  readonly all: readonly Saved[];
  readonly #series = new Map<string, Saved[]>();

  /** In any order. */
  constructor(all: readonly Saved[]) {
    this.all = [...all].sort((a, b) => b.seq - a.seq);
    for (const saved of this.all) {
      const series = this.#series.get(saved.series);
      if (series === undefined) this.#series.set(saved.series, [saved]);
      else series.push(saved);
    }
  }

  /** Whether this may have been removed, by all that is there now. */
  mayBeGone({ seq, series, set }: Saved): boolean {
    const second = this.#series.get(series)?.[KEPT - 1];
    if (second !== undefined && seq < second.seq) return true;
    return set !== 'windows' && this.#twice().some((other) => other.set !== set);
  }

  /** Events before it are in two states of all that a start needs; 0 = there are not two. */
  get coveredSeq(): number {
    return Math.max(0, ...this.#twice().map(({ seq }) => seq));
  }

  /** Events before it are in a state of all products that a start can use; 0 = there is none. */
  get startSeq(): number {
    const wholes = this.#series.get('whole') ?? [];
    return Math.max(0, ...this.#setsOf(1).map(({ seq }) => seq), ...wholes.map(({ seq }) => seq));
  }

  #twice(): SavedSet[] {
    const windows = this.#series.get('windows')?.[KEPT - 1];
    if (windows === undefined) return [];
    return this.#setsOf(KEPT).map(({ set, seq }) => ({ set, seq: Math.min(seq, windows.seq) }));
  }

  /** The sets of parts of which there are `times` for each shard, with the seq that they cover. */
  #setsOf(times: number): SavedSet[] {
    const sets = new Map<string, { count: number; seq: number }>();
    for (const series of this.#series.values()) {
      const oldest = series[times - 1];
      if (oldest === undefined) continue;
      const found = sets.get(oldest.set) ?? { count: 0, seq: Number.POSITIVE_INFINITY };
      sets.set(oldest.set, { count: found.count + 1, seq: Math.min(found.seq, oldest.seq) });
    }
    return [...sets].flatMap(([set, { count, seq }]) =>
      count === shardsOf(set) ? [{ set, seq }] : [],
    );
  }
}

interface SavedSet {
  readonly set: string;
  readonly seq: number;
}

/** `0b1c2d3e 16`: so many shards; NaN for what is no set of parts. */
function shardsOf(set: string): number {
  return Number(set.split(' ')[1]);
}

export class FolderFiles {
  readonly #logFolder: string;
  readonly #checkpointFolder: string;
  #segments: number[] = [];
  #saved = new SavedFiles([]);
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
    let look = await this.#look(tail);
    for (let looks = 1; look.found !== undefined && looks < LOOKS; looks++) {
      await pause(BETWEEN_LOOKS_MS);
      look = await this.#look(tail);
    }
    this.#segments = look.segments;
    this.#saved = look.saved;
    return look.found ?? (tail === undefined ? undefined : await this.#notItself(tail));
  }

  async #look(tail: SegmentEnd | undefined) {
    const names = await readdir(this.#logFolder);
    const segments = names.map(parseSegmentName).filter((seq) => seq !== undefined);
    segments.sort((a, b) => a - b);
    const saved = await this.#listSaved();
    const found =
      this.#missingSaved(saved) ??
      this.#missingSegment(segments, saved, tail) ??
      // An open log has both, also when this is the first look at it.
      (tail === undefined ? undefined : uncovered(segments, saved)) ??
      (tail !== undefined && !names.includes(NEWEST_NAME) ? NEWEST_NAME : undefined);
    return { segments, saved, found };
  }

  async #listSaved(): Promise<SavedFiles> {
    const names = await readdir(this.#checkpointFolder);
    const listed = await Promise.all(names.map((name) => this.#savedOf(name)));
    return new SavedFiles(listed.filter((saved) => saved !== undefined));
  }

  async #savedOf(name: string): Promise<Saved | undefined> {
    const part = parsePartName(name);
    if (part !== undefined) {
      const { keyName, shards, shard, replayFrom: seq } = part;
      const set = `${keyName} ${shards}`;
      return { name, seq, what: name, set, series: `${set} ${shard}`, files: undefined };
    }
    const windows = parseWindowsName(name);
    const seq = windows ?? parseCheckpointName(name);
    if (seq === undefined) return undefined;
    const set = windows === undefined ? 'whole' : 'windows';
    const what = windows === undefined ? `the checkpoint before seq ${seq}` : name;
    const files = await readdir(join(this.#checkpointFolder, name)).catch(() => []);
    return { name, seq, what, set, series: set, files };
  }

  #missingSaved(now: SavedFiles): string | undefined {
    const there = new Map(now.all.map((saved) => [saved.name, saved]));
    for (const before of this.#saved.all) {
      if (now.mayBeGone(before)) continue;
      const left = there.get(before.name);
      if (left === undefined) return before.what;
      const file = before.files?.find((name) => left.files?.includes(name) !== true);
      if (file !== undefined) return `${file} of ${before.what}`;
    }
    const headless = now.all.find(
      (saved) => saved.files?.includes(MANIFEST_NAME) === false && !now.mayBeGone(saved),
    );
    return headless === undefined ? undefined : `the manifest of ${headless.what}`;
  }

  #missingSegment(
    now: readonly number[],
    saved: SavedFiles,
    tail: SegmentEnd | undefined,
  ): string | undefined {
    const covered = saved.coveredSeq;
    const newest = tail === undefined ? [] : [tail.firstSeq];
    // What came since the last look too: where it begins, the one before it ends.
    const all = [...new Set([...this.#segments, ...now, ...newest])].sort((a, b) => a - b);
    const gone = all.find((firstSeq, i) => {
      const next = all[i + 1];
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

/** A log that doesn't begin with seq 1 begins within what a start finds saved. */
function uncovered([first = 1]: readonly number[], { startSeq }: SavedFiles): string | undefined {
  if (first === 1 || startSeq >= first) return undefined;
  return `every checkpoint that the log before seq ${first} is covered by`;
}
