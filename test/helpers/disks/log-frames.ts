/** The frames in the segments of a data folder, for tests that damage or count them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CheckedFrame,
  checkFrame,
  parseSegmentName,
  SEGMENT_HEADER_BYTES,
  unpackSegmentHeader,
} from '../../../src/log/format.ts';

export interface FrameInFile extends CheckedFrame {
  readonly offsetBytes: number;
}

export interface SegmentFile {
  readonly path: string;
  readonly firstSeq: number;
  readonly bytes: Buffer;
  readonly frames: readonly FrameInFile[];
  /** Behind the last frame. */
  readonly endBytes: number;
}

/** All of them, oldest first. */
export function segmentsOf(dataDir: string): SegmentFile[] {
  const folder = join(dataDir, 'log');
  const names = readdirSync(folder).filter(parseSegmentName).sort();
  return names.map((name) => readSegment(join(folder, name)));
}

export function newestSegment(dataDir: string): SegmentFile {
  const newest = segmentsOf(dataDir).at(-1);
  if (newest === undefined) throw new Error(`no segment in ${dataDir}`);
  return newest;
}

function readSegment(path: string): SegmentFile {
  const bytes = readFileSync(path);
  const header = unpackSegmentHeader(bytes);
  if (typeof header === 'string') throw new Error(header);
  const { firstSeq, nonce } = header;
  const frames: FrameInFile[] = [];
  let at = SEGMENT_HEADER_BYTES;
  for (;;) {
    const frame = checkFrame(bytes, at, nonce);
    if (typeof frame === 'string') return { path, firstSeq, bytes, frames, endBytes: at };
    frames.push({ ...frame, offsetBytes: at });
    at += frame.bytes;
  }
}
