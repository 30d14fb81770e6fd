/**
 * Reads the log's files back, checks every byte that counts, and hands the frames on in order.
 * It decides between a torn tail (cut, with a warning) and damage (the start is refused).
 * Writes nothing. Log thread at start; also the command-line tools.
 */
import { join } from 'node:path';
import { type FileSystem, readFully } from './file-system.ts';
import {
  checkFrame,
  FRAME_ALIGN_BYTES,
  FRAME_HEADER_BYTES,
  parseSegmentName,
  SEGMENT_HEADER_BYTES,
  type SegmentEnd,
  type SegmentHeader,
  segmentName,
  unpackSegmentHeader,
} from './format.ts';
import { newestPath, readNewest } from './newest-file.ts';
import {
  type FrameVisitor,
  findBadSlot,
  findFrame,
  isZero,
  SegmentBytes,
} from './segment-bytes.ts';

/** The log is damaged where no crash can have damaged it. The message names file, offset and way out. */
export class LogDamagedError extends Error {
  override readonly name = 'LogDamagedError';
  constructor(path: string, offsetBytes: number, reason: string) {
    super(
      `${path} is damaged at byte ${offsetBytes}: ${reason}; nothing was changed: ` +
        '`npm run verify` lists all damage; restore DATA_DIR from a backup, or see ' +
        '`npm run repair` for what can be kept (docs/durability.md)',
    );
  }
}

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
}

/** The segments in `folder`, oldest first, by name. */
export function listSegments(files: FileSystem, folder: string): number[] {
  return files
    .list(folder)
    .map(parseSegmentName)
    .filter((seq) => seq !== undefined)
    .sort((a, b) => a - b);
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
 * hold it. Throws LogDamagedError, and what the file system throws.
 */
export function readLog(
  files: FileSystem,
  folder: string,
  from: number,
  visit: FrameVisitor,
): LogEnd {
  const all = listSegments(files, folder);
  checkNewest(files, folder, all);
  const start = all.findLastIndex((firstSeq) => firstSeq <= from);
  if (start === -1 && (all.length > 0 || from > 1)) {
    throw new LogDamagedError(folder, 0, `the segment that holds seq ${from} is missing`);
  }
  const names = all.slice(Math.max(start, 0));
  const memory = new SegmentBytes();
  let nextSeq = names[0] ?? 1;
  let end = endOfUnread(files, folder, all[start - 1]);
  let previous: SegmentEnd | undefined;
  let lastFrameBytes = 0;
  let tornTail: TornTail | undefined;

  // A segment's header says how far the one before it counts, so headers are read one ahead.
  const headers = names.map((firstSeq) => readSegmentHeader(files, folder, firstSeq));
  for (const [i, header] of headers.entries()) {
    const path = join(folder, segmentName(header.firstSeq));
    checkOrder(path, header, nextSeq, end);
    const counted = headers[i + 1]?.previous;
    const scan = scanSegment(files, path, header, counted, nextSeq, memory, visit);
    previous = header.previous;
    end = scan.end;
    nextSeq = scan.nextSeq;
    lastFrameBytes = scan.lastFrameBytes;
    tornTail = scan.tornTail;
  }
  if (nextSeq < from) {
    throw new LogDamagedError(
      join(folder, segmentName(end?.firstSeq ?? 1)),
      end?.endBytes ?? 0,
      `the log ends before seq ${nextSeq}, but a checkpoint holds all events before ${from}`,
    );
  }
  return { nextSeq, segment: end, previous, lastFrameBytes, tornTail, segments: names.length };
}

/** What the first segment that is read must follow: the one before it, if it is there and readable. */
function endOfUnread(
  files: FileSystem,
  folder: string,
  firstSeq: number | undefined,
): SegmentEnd | undefined {
  if (firstSeq === undefined) return undefined;
  try {
    const { nonce } = readSegmentHeader(files, folder, firstSeq);
    return { firstSeq, nonce, endBytes: 0, chain: 0 };
  } catch (error) {
    // No start needs what a checkpoint covers.
    if (error instanceof LogDamagedError) return undefined;
    throw error;
  }
}

/** Nothing in a log tells that its newest segment was lost, so a file beside it does. */
function checkNewest(files: FileSystem, folder: string, segments: readonly number[]): void {
  const newest = readNewest(files, folder);
  if (typeof newest === 'string') throw new LogDamagedError(newestPath(folder), 0, newest);
  if (newest !== undefined && !segments.includes(newest)) {
    throw new LogDamagedError(join(folder, segmentName(newest)), 0, 'the segment is missing');
  }
}

/** The header of a segment. Throws LogDamagedError. */
export function readSegmentHeader(
  files: FileSystem,
  folder: string,
  firstSeq: number,
): SegmentHeader {
  const path = join(folder, segmentName(firstSeq));
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  const file = files.openForReading(path);
  let got: number;
  try {
    got = readFully(files, file, bytes, 0, SEGMENT_HEADER_BYTES, 0);
  } finally {
    files.close(file);
  }
  const header = unpackSegmentHeader(bytes.subarray(0, got));
  if (typeof header === 'string') throw new LogDamagedError(path, 0, header);
  if (header.firstSeq !== firstSeq) {
    throw new LogDamagedError(path, 16, `it says that it starts with seq ${header.firstSeq}`);
  }
  return header;
}

function checkOrder(
  path: string,
  header: SegmentHeader,
  nextSeq: number,
  before: SegmentEnd | undefined,
): void {
  if (before === undefined) return;
  const says = header.previous;
  if (
    says === undefined ||
    says.firstSeq !== before.firstSeq ||
    !says.nonce.equals(before.nonce) ||
    header.firstSeq !== nextSeq
  ) {
    throw new LogDamagedError(
      path,
      48,
      `it does not follow ${segmentName(before.firstSeq)}, which ends before seq ${nextSeq}: ` +
        'a segment is missing or foreign',
    );
  }
}

interface Scan {
  readonly end: SegmentEnd;
  readonly lastFrameBytes: number;
  readonly nextSeq: number;
  readonly tornTail: TornTail | undefined;
}

/** Reads one segment: up to where the next one says (`counted`), or to the end of the log. */
function scanSegment(
  files: FileSystem,
  path: string,
  header: SegmentHeader,
  counted: SegmentEnd | undefined,
  firstSeq: number,
  memory: SegmentBytes,
  visit: FrameVisitor,
): Scan {
  const size = memory.load(files, path);
  const file = memory.bytes.subarray(0, size);
  let at = SEGMENT_HEADER_BYTES;
  let chain = header.previous?.chain ?? 0;
  let nextSeq = firstSeq;
  let lastFrameBytes = 0;
  let tornTail: TornTail | undefined;

  while (counted === undefined ? at < size : at < counted.endBytes) {
    const frame = checkFrame(file, at, header.nonce);
    if (typeof frame === 'string') {
      if (counted !== undefined) throw new LogDamagedError(path, at, frame);
      if (isZero(file, at)) break;
      const good = findFrame(file, at + FRAME_ALIGN_BYTES, header.nonce);
      if (good !== undefined) {
        throw new LogDamagedError(path, at, `${frame}, but a whole frame follows at ${good}`);
      }
      tornTail = { path, offsetBytes: at, bytes: size - at, reason: frame };
      break;
    }
    if (frame.chain !== chain || frame.firstSeq !== nextSeq) {
      throw new LogDamagedError(path, at, `the frame does not follow seq ${nextSeq - 1}`);
    }
    if (frame.count > 0) {
      memory.visit(at + FRAME_HEADER_BYTES, frame, (slots, first) => {
        const bad = findBadSlot(slots, first, frame);
        if (bad !== undefined) throw new LogDamagedError(path, at, bad);
        visit(slots, first, frame);
      });
    }
    at += frame.bytes;
    chain = frame.crc;
    nextSeq += frame.count;
    lastFrameBytes = frame.bytes;
  }
  if (counted !== undefined && (at !== counted.endBytes || chain !== counted.chain)) {
    throw new LogDamagedError(
      path,
      at,
      `it should end at ${counted.endBytes}, as the next one says`,
    );
  }
  const end = { firstSeq: header.firstSeq, nonce: header.nonce, endBytes: at, chain };
  return { end, nextSeq, lastFrameBytes, tornTail };
}
