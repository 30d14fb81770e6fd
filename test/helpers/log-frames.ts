/** The frames in the newest segment of a data folder, for tests that damage them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CheckedFrame,
  checkFrame,
  parseSegmentName,
  SEGMENT_HEADER_BYTES,
  unpackSegmentHeader,
} from '../../src/log/format.ts';

export interface FrameInFile extends CheckedFrame {
  readonly offsetBytes: number;
}

export interface NewestSegment {
  readonly path: string;
  readonly bytes: Buffer;
  readonly frames: readonly FrameInFile[];
  /** Behind the last frame. */
  readonly endBytes: number;
}

export function newestSegment(dataDir: string): NewestSegment {
  const folder = join(dataDir, 'log');
  const name = readdirSync(folder).filter(parseSegmentName).sort().at(-1);
  if (name === undefined) throw new Error(`no segment in ${folder}`);
  const path = join(folder, name);
  const bytes = readFileSync(path);
  const header = unpackSegmentHeader(bytes);
  if (typeof header === 'string') throw new Error(header);
  const frames: FrameInFile[] = [];
  let at = SEGMENT_HEADER_BYTES;
  for (;;) {
    const frame = checkFrame(bytes, at, header.nonce);
    if (typeof frame === 'string') return { path, bytes, frames, endBytes: at };
    frames.push({ ...frame, offsetBytes: at });
    at += frame.bytes;
  }
}
