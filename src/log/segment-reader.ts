/**
 * Reads the log's files back, checks every byte that counts, and hands the frames on in order.
 * It decides between a torn tail (cut, with a warning) and damage (the start is refused).
 * Writes nothing. Log thread at start; also the command-line tools.
 */
import { join } from 'node:path';
import type { FileSystem } from './file-system.ts';
import {
  FRAME_ALIGN_BYTES,
  FRAME_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentEnd,
  type SegmentHeader,
  segmentName,
} from './format.ts';
import { FrameWindow } from './frame-window.ts';
import { LogDamagedError } from './log-damaged-error.ts';
import { identityAt, type LogIdentity } from './log-identity.ts';
import { newestPath, readNewest } from './newest-file.ts';
import { type FrameVisitor, findBadSlot, findFrame, isZero } from './segment-bytes.ts';
import {
  checkLinks,
  headerOfUnread,
  listSegments,
  missingFirst,
  readSegmentHeader,
} from './segment-headers.ts';

/** Bytes behind the last whole frame that no acknowledgement can have relied on. */
export interface TornTail {
  readonly path: string;
  readonly offsetBytes: number;
  /** Bytes up to the end of the file, preallocated zeros included. */
  readonly bytes: number;
  readonly reason: string;
}

/** Where the log ends. */
export interface LogEnd {
  readonly nextSeq: number;
  /** The last segment; `undefined` when there is none yet. */
  readonly segment: SegmentEnd | undefined;
  /** What that segment says about the one before it. */
  readonly previous: SegmentEnd | undefined;
  /** Length of its last frame; 0 = it has none. */
  readonly lastFrameBytes: number;
  readonly tornTail: TornTail | undefined;
  readonly segments: number;
  /** Commit time of the last frame or seal that was read; 0 = there was none. */
  readonly lastTimeMs: number;
}

/** What a checkpoint knows of the log at the seq from which its replay must start. */
export interface KnownLog {
  readonly replayFrom: number;
  readonly log: LogIdentity | undefined;
}

/** Bytes of the files that `readLog` reads from seq `from` on. */
export function logBytes(files: FileSystem, folder: string, from: number): number {
  const all = listSegments(files, folder);
  const start = Math.max(
    0,
    all.findLastIndex((firstSeq) => firstSeq <= from),
  );
  let bytes = 0;
  for (const firstSeq of all.slice(start)) {
    const file = files.openForReading(join(folder, segmentName(firstSeq)));
    bytes += files.size(file);
    files.close(file);
  }
  return bytes;
}

/**
 * Reads the log in `folder` from the segment that holds seq `from` on, or that would be next to
 * hold it; `known` is what checkpoints from `from` on know of the log. Throws LogDamagedError, and
 * what the file system throws.
 */
export function readLog(
  files: FileSystem,
  folder: string,
  from: number,
  visit: FrameVisitor,
  known: readonly KnownLog[] = [],
): LogEnd {
  const all = listSegments(files, folder);
  checkNewest(files, folder, all);
  const start = all.findLastIndex((firstSeq) => firstSeq <= from);
  if (start === -1 && (all.length > 0 || from > 1)) throw missingFirst(files, folder, all, from);
  const names = all.slice(Math.max(start, 0));
  const window = new FrameWindow(files);
  let nextSeq = names[0] ?? 1;
  let end: SegmentEnd | undefined;
  let previous: SegmentEnd | undefined;
  let lastFrameBytes = 0;
  let lastTimeMs = 0;
  let tornTail: TornTail | undefined;

  // A segment's header says how far the one before it counts, so headers are read one ahead.
  const headers = names.map((firstSeq) => readSegmentHeader(files, folder, firstSeq));
  const unread = isBehind(known, headers[0])
    ? undefined
    : headerOfUnread(files, folder, all[start - 1]);
  checkLinks(folder, unread, headers);
  for (const { replayFrom, log } of known) {
    const header = headers.findLast(({ firstSeq }) => firstSeq <= replayFrom);
    if (log !== undefined && header !== undefined) checkIdentity(folder, header, replayFrom, log);
  }
  for (const [i, header] of headers.entries()) {
    const path = join(folder, segmentName(header.firstSeq));
    if (header.firstSeq !== nextSeq) {
      const reason = `it starts with seq ${header.firstSeq}, the one before it ends before ${nextSeq}`;
      throw new LogDamagedError(path, 16, reason);
    }
    const counted = headers[i + 1]?.previous;
    const scan = window.reading(path, () =>
      scanSegment(window, path, header, counted, nextSeq, visit),
    );
    previous = header.previous;
    end = scan.end;
    nextSeq = scan.nextSeq;
    lastFrameBytes = scan.lastFrameBytes;
    if (lastFrameBytes > 0) lastTimeMs = scan.lastTimeMs;
    tornTail = scan.tornTail;
  }
  const last = Math.max(from, ...known.map(({ replayFrom }) => replayFrom));
  if (nextSeq < last) {
    throw new LogDamagedError(
      join(folder, segmentName(end?.firstSeq ?? 1)),
      end?.endBytes ?? 0,
      `the log ends before seq ${nextSeq}, but a checkpoint holds all events before ${last}`,
    );
  }
  const segments = names.length;
  return { nextSeq, segment: end, previous, lastFrameBytes, tornTail, segments, lastTimeMs };
}

/**
 * Whether a checkpoint has all events before this segment, and knows the one that it follows. Then what lies
 * before it tells nothing: it may be what was not removed yet when the service was killed (folder-keeper.ts).
 */
function isBehind(known: readonly KnownLog[], header: SegmentHeader | undefined): boolean {
  const previous = header?.previous;
  if (previous === undefined) return false;
  return known.some(
    ({ replayFrom, log }) =>
      replayFrom === header?.firstSeq && log?.nonce === previous.nonce.toString('hex'),
  );
}

/** The checkpoint was taken beside the segment of this header, or beside another. */
function checkIdentity(
  folder: string,
  header: SegmentHeader,
  from: number,
  { firstSeq, nonce }: LogIdentity,
): void {
  if (identityAt(header, from).nonce === nonce) return;
  throw new LogDamagedError(
    join(folder, segmentName(header.firstSeq)),
    24,
    `log and checkpoint are of different data folders: the checkpoint before seq ${from} was taken ` +
      `behind a segment ${segmentName(firstSeq)} with the nonce ${nonce}`,
  );
}

/** Nothing in a log shows that its newest segment was lost, so a file beside it does. */
function checkNewest(files: FileSystem, folder: string, segments: readonly number[]): void {
  const newest = readNewest(files, folder);
  if (typeof newest === 'string') throw new LogDamagedError(newestPath(folder), 0, newest);
  if (newest !== undefined && !segments.includes(newest)) {
    throw new LogDamagedError(join(folder, segmentName(newest)), 0, 'the segment is missing');
  }
}

interface Scan {
  readonly end: SegmentEnd;
  readonly lastFrameBytes: number;
  readonly nextSeq: number;
  readonly tornTail: TornTail | undefined;
  readonly lastTimeMs: number;
}

/** Reads one segment: up to where the next one says (`counted`), or to the end of the log. */
function scanSegment(
  window: FrameWindow,
  path: string,
  header: SegmentHeader,
  counted: SegmentEnd | undefined,
  firstSeq: number,
  visit: FrameVisitor,
): Scan {
  const { size } = window;
  let at = SEGMENT_HEADER_BYTES;
  let chain = header.previous?.chain ?? 0;
  let nextSeq = firstSeq;
  let lastFrameBytes = 0;
  let lastTimeMs = 0;
  let tornTail: TornTail | undefined;

  while (counted === undefined ? at < size : at < counted.endBytes) {
    const frame = window.frameAt(at, header.nonce);
    if (typeof frame === 'string') {
      if (counted !== undefined) throw new LogDamagedError(path, at, frame);
      const rest = window.part(at, size - at);
      if (isZero(rest, 0)) break;
      const good = findFrame(rest, FRAME_ALIGN_BYTES, header.nonce, at);
      if (good !== undefined) {
        const reason = `${frame}, but a whole frame follows at ${at + good}`;
        throw new LogDamagedError(path, at, reason);
      }
      tornTail = { path, offsetBytes: at, bytes: size - at, reason: frame };
      break;
    }
    if (frame.chain !== chain || frame.firstSeq !== nextSeq) {
      throw new LogDamagedError(path, at, `the frame does not follow seq ${nextSeq - 1}`);
    }
    if (frame.count > 0) {
      const { slots, first } = window.slotsAt(at + FRAME_HEADER_BYTES);
      const bad = findBadSlot(slots, first, frame);
      if (bad !== undefined) throw new LogDamagedError(path, at, bad);
      visit(slots, first, frame);
    }
    at += frame.bytes;
    chain = frame.crc;
    nextSeq += frame.count;
    lastFrameBytes = frame.bytes;
    lastTimeMs = frame.commitTimeMs;
  }
  if (counted !== undefined && (at !== counted.endBytes || chain !== counted.chain)) {
    throw new LogDamagedError(
      path,
      at,
      `it should end at ${counted.endBytes}, as the next one says`,
    );
  }
  const end = { firstSeq: header.firstSeq, nonce: header.nonce, endBytes: at, chain };
  return { end, nextSeq, lastFrameBytes, tornTail, lastTimeMs };
}
