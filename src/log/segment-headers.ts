/**
 * The segments of a log by their names and headers: which there are, and whether each follows the
 * one before it. Reads only. Any thread.
 */
import { join } from 'node:path';
import { type FileSystem, readFully } from './file-system.ts';
import {
  parseSegmentName,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentName,
  unpackSegmentHeader,
} from './format.ts';
import { LogDamagedError } from './log-damaged-error.ts';

/** The segments in `folder`, oldest first, by name. */
export function listSegments(files: FileSystem, folder: string): number[] {
  return files
    .list(folder)
    .map(parseSegmentName)
    .filter((seq) => seq !== undefined)
    .sort((a, b) => a - b);
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

/** The first segment that would be read is not there: its name, if the one behind it names it. */
export function missingFirst(
  files: FileSystem,
  folder: string,
  all: readonly number[],
  from: number,
): LogDamagedError {
  const oldest = all[0] === undefined ? undefined : headerOfUnread(files, folder, all[0]);
  const before = oldest?.previous?.firstSeq;
  if (before === undefined || before > from) {
    return new LogDamagedError(folder, 0, `the segment that holds seq ${from} is missing`);
  }
  return missingSegment(folder, before, all[0]);
}

function missingSegment(folder: string, firstSeq: number, next: number): LogDamagedError {
  const reason = `the segment is missing, ${segmentName(next)} follows it`;
  return new LogDamagedError(join(folder, segmentName(firstSeq)), 0, reason);
}

/** A header that no start needs: `undefined` when it can't be read. */
export function headerOfUnread(
  files: FileSystem,
  folder: string,
  firstSeq: number | undefined,
): SegmentHeader | undefined {
  if (firstSeq === undefined) return undefined;
  try {
    return readSegmentHeader(files, folder, firstSeq);
  } catch (error) {
    // No start needs what a checkpoint covers.
    if (error instanceof LogDamagedError) return undefined;
    throw error;
  }
}

/** The oldest segment from which on each one is there that the next one follows, up to `last`. */
export function oldestLinked(files: FileSystem, folder: string, last: number): number {
  const all = listSegments(files, folder);
  let header = readSegmentHeader(files, folder, last);
  for (;;) {
    const { firstSeq, previous } = header;
    if (previous === undefined || !all.includes(previous.firstSeq)) return firstSeq;
    const before = headerOfUnread(files, folder, previous.firstSeq);
    if (before === undefined || !before.nonce.equals(previous.nonce)) return firstSeq;
    header = before;
  }
}

/** Each segment must say that it follows the one before it; `before` is that of the first, if known. */
export function checkLinks(
  folder: string,
  before: SegmentHeader | undefined,
  headers: readonly SegmentHeader[],
): void {
  let last = before;
  for (const header of headers) {
    const says = header.previous;
    if (last !== undefined && says?.nonce.equals(last.nonce) !== true) {
      if (says !== undefined && says.firstSeq > last.firstSeq) {
        throw missingSegment(folder, says.firstSeq, header.firstSeq);
      }
      const reason = `it does not follow ${segmentName(last.firstSeq)}: one of them is foreign`;
      throw new LogDamagedError(join(folder, segmentName(header.firstSeq)), 48, reason);
    }
    last = header;
  }
}
