/**
 * The whole log as it lies on disk: every segment scanned, put in order, those that belong to
 * another log set apart, and everything found that is not as it must be. Reads only.
 *
 * Which segments belong together, in the order of their first seqs:
 *   linked        b's header names a's nonce: b follows a.
 *   gap           b's header names a segment that is not here, behind a's last event: one is missing.
 *   contradicted  b's header names another segment in a's place, or one before a's end.
 * Kept is the sequence without contradictions that has the most links, then the most segments, then
 * the oldest ones; all others are foreign.
 */
import { join } from 'node:path';
import { type FileHandle, type FileSystem, readFully } from '../log/file-system.ts';
import { LOCK_NAME } from '../log/folder-lock.ts';
import {
  parseSegmentName,
  SEGMENT_HEADER_BYTES,
  type SegmentEnd,
  segmentName,
  unpackSegmentHeader,
} from '../log/format.ts';
import { NEWEST_NAME, newestPath, readNewest } from '../log/newest-file.ts';
import { listSegments } from '../log/segment-headers.ts';
import type { TornTail } from '../log/segment-reader.ts';
import { isTemporary } from '../log/segment-writer.ts';
import { foreignEvents } from './foreign-events.ts';
import type { Fault } from './loaded-file.ts';
import { type EndLookup, type SegmentScan, scanSegment } from './segment-scan.ts';
import { throwIfUnreadable } from './unreadable-error.ts';

export interface LogScan {
  readonly folder: string;
  /** In order; without the foreign ones. */
  readonly segments: readonly SegmentScan[];
  readonly foreign: readonly SegmentScan[];
  /** What the file `newest` says; `undefined` = it is missing or damaged. */
  readonly newest: number | undefined;
  /** It is damaged, or missing where it has to be: nobody can say which segment was the newest. */
  readonly isNewestLost: boolean;
  readonly faults: readonly Fault[];
  readonly tornTail: TornTail | undefined;
  readonly leftovers: readonly string[];
  readonly unknown: readonly string[];
}

export function scanLog(files: FileSystem, folder: string): LogScan {
  // The file before the segments: on a running service it then never names one that is not listed.
  const newest = readNewestQuietly(files, folder);
  const names = files.list(folder);
  const listed = listSegments(files, folder);
  const endOf = readEnds(files, folder, listed);
  const all = listed
    .map((nameSeq) => scanSegment(files, folder, nameSeq, endOf))
    .filter((scan) => scan !== undefined)
    .sort((a, b) => a.firstSeq - b.firstSeq || misnaming(a) - misnaming(b));
  const segments = longestLineage(all);
  const foreign = all.filter((scan) => !segments.includes(scan));
  const last = segments.at(-1);
  const tornTail = last === undefined || hasLaterFile(all, last) ? undefined : tailOf(last);
  const faults = [
    ...newestFaults(folder, newest, all),
    ...all.flatMap((scan) => scan.faults),
    ...foreign.map((scan) => foreignFault(scan, segments)),
    ...segments.flatMap((scan, i) => linkFaults(segments[i - 1], scan)),
  ];
  return {
    folder,
    segments,
    foreign,
    newest: typeof newest === 'number' ? newest : undefined,
    isNewestLost: faults.some(({ path }) => path === newestPath(folder)),
    faults,
    tornTail,
    leftovers: names.filter(isTemporary),
    unknown: names.filter(
      (name) =>
        !isTemporary(name) &&
        name !== NEWEST_NAME &&
        name !== LOCK_NAME &&
        parseSegmentName(name) === undefined,
    ),
  };
}

/** 0 for a file whose name and header agree: of two copies of a segment that one is believed. */
function misnaming(scan: SegmentScan): number {
  return scan.nameSeq === scan.firstSeq ? 0 : 1;
}

function readNewestQuietly(files: FileSystem, folder: string): number | string | undefined {
  try {
    return readNewest(files, folder);
  } catch (error) {
    throwIfUnreadable(error, newestPath(folder));
    return `can't be read: ${(error as Error).message}`;
  }
}

/** How far each segment counts, as the headers of all the others say. */
function readEnds(files: FileSystem, folder: string, listed: readonly number[]): EndLookup {
  const ends = listed.map((nameSeq) => readPrevious(files, join(folder, segmentName(nameSeq))));
  const known = ends.filter((end) => end !== undefined);
  return (header, nameSeq) =>
    known.find((end) =>
      header === undefined ? end.firstSeq === nameSeq : end.nonce.equals(header.nonce),
    );
}

function readPrevious(files: FileSystem, path: string): SegmentEnd | undefined {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  let file: FileHandle;
  try {
    file = files.openForReading(path);
  } catch (error) {
    throwIfUnreadable(error, path);
    return undefined;
  }
  try {
    const got = readFully(files, file, bytes, 0, bytes.length, 0);
    const header = unpackSegmentHeader(bytes.subarray(0, got));
    return typeof header === 'string' ? undefined : header.previous;
  } catch {
    // The scan of the segment says it.
    return undefined;
  } finally {
    files.close(file);
  }
}

type Relation = 'linked' | 'gap' | 'unknown' | 'contradicted';

/** How `b` stands behind `a`. */
function relation(a: SegmentScan, b: SegmentScan): Relation {
  if (b.firstSeq <= a.firstSeq) return 'contradicted';
  if (b.header === undefined) return 'unknown';
  const says = b.header.previous;
  if (says === undefined) return 'contradicted';
  if (says.firstSeq === a.firstSeq) {
    return a.nonce === undefined || says.nonce.equals(a.nonce) ? 'linked' : 'contradicted';
  }
  // A last frame that never counted is written again to the next segment, under the same seqs.
  const isBehind = says.firstSeq >= a.walk.endSeq || says.firstSeq === a.walk.lastFrameSeq;
  return says.firstSeq > a.firstSeq && isBehind ? 'gap' : 'contradicted';
}

/** Links weigh most, so that a sequence that proves itself wins over one that only fits. */
const WEIGHT_LINK = 1000;

/** The best sequence without contradictions; see above. */
function longestLineage(all: readonly SegmentScan[]): SegmentScan[] {
  const best: { readonly weight: number; readonly before: number }[] = [];
  for (const [i, scan] of all.entries()) {
    let found = { weight: 1, before: -1 };
    for (let j = 0; j < i; j++) {
      const how = relation(all[j], scan);
      if (how === 'contradicted') continue;
      const weight = (best[j]?.weight ?? 0) + 1 + (how === 'linked' ? WEIGHT_LINK : 0);
      if (weight > found.weight) found = { weight, before: j };
    }
    best.push(found);
  }
  const top = Math.max(0, ...best.map(({ weight }) => weight));
  const lineage: SegmentScan[] = [];
  for (let i = best.findIndex(({ weight }) => weight === top); i >= 0; i = best[i]?.before ?? -1) {
    lineage.unshift(all[i]);
  }
  return lineage;
}

function newestFaults(
  folder: string,
  newest: number | string | undefined,
  all: readonly SegmentScan[],
): Fault[] {
  const path = newestPath(folder);
  const fault = (at: string, reason: string) => [
    { path: at, offsetBytes: 0, lengthBytes: 0, reason },
  ];
  if (typeof newest === 'string') return fault(path, newest);
  if (newest === undefined) {
    // A crash between the first segment's name and this file leaves a segment without frames.
    const hasFrames = all.some(({ walk }) => walk.lastFrameSeq > 0);
    return hasFrames ? fault(path, 'the file is missing') : [];
  }
  if (all.some(({ nameSeq }) => nameSeq === newest)) return [];
  return fault(join(folder, segmentName(newest)), 'the segment is missing');
}

function foreignFault(scan: SegmentScan, segments: readonly SegmentScan[]): Fault {
  const { path, bytes, header } = scan;
  const says = header?.previous;
  const follows = says === undefined ? 'it is the first one ever' : `it follows ${says.firstSeq}`;
  const [events] = foreignEvents({ segments, foreign: [scan] });
  const twice =
    events === undefined || events.givenTwice === 0
      ? ''
      : `; ${events.givenTwice} seqs from ${events.fromSeq} to ${events.toSeq} were given twice: two services wrote to this folder`;
  const reason = `the segment does not belong to this log: it says that ${follows}${twice}`;
  return { path, offsetBytes: 48, lengthBytes: bytes, reason };
}

function linkFaults(before: SegmentScan | undefined, scan: SegmentScan): Fault[] {
  if (before === undefined) return [];
  const faults: Fault[] = [];
  const how = relation(before, scan);
  const { walk } = before;
  const says = scan.header?.previous;
  if (how === 'gap') {
    const reason = `it follows ${segmentName(says?.firstSeq ?? 0)}, which is missing`;
    faults.push({ path: scan.path, offsetBytes: 48, lengthBytes: 0, reason });
  }
  if (how === 'linked' && before.faults.length === 0 && walk.endSeq !== scan.firstSeq) {
    const reason = `it does not start with seq ${walk.endSeq}, where the one before it ends`;
    faults.push({ path: scan.path, offsetBytes: 16, lengthBytes: 0, reason });
  }
  if (walk.torn !== undefined) {
    const { offsetBytes, reason } = walk.torn;
    const lengthBytes = before.bytes - offsetBytes;
    faults.push({ path: before.path, offsetBytes, lengthBytes, reason });
  }
  return faults;
}

/** Whether the log goes on behind `scan` in a file that was not kept. */
function hasLaterFile(all: readonly SegmentScan[], scan: SegmentScan): boolean {
  return all.some(({ nameSeq }) => nameSeq > Math.max(scan.nameSeq, scan.firstSeq));
}

function tailOf({ path, bytes, walk }: SegmentScan): TornTail | undefined {
  if (walk.torn === undefined) return undefined;
  const { offsetBytes, reason } = walk.torn;
  return { path, offsetBytes, bytes: bytes - offsetBytes, reason };
}
