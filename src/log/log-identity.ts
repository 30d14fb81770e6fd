/**
 * Which log a checkpoint belongs to: the nonce of the segment that holds the last event before its
 * replay seq. Any thread; pure but for the one read.
 *
 *   segments   … │ nonce A: seq 10 … 19 │ nonce B: seq 20 …       replay from 15 or 20: A
 *                                                                 replay from 21: B
 *
 * Why this is always known at a start:
 *  1. That segment has an event, so it is never replaced: only a segment without events is.
 *  2. The segment that holds the replay seq, or would be next to hold it, is never removed while the
 *     checkpoint is there. It is the same one, or its successor, whose header says the nonce.
 *  3. Where the log begins (seq 1, or where a repair let it begin again) there is none before. A checkpoint
 *     from there on notes none: the segment itself may be without events, and be replaced.
 */
import type { FileSystem } from './file-system.ts';
import type { SegmentHeader } from './format.ts';
import { listSegments, readSegmentHeader } from './segment-headers.ts';

export interface LogIdentity {
  /** First seq of that segment. */
  readonly firstSeq: number;
  /** 16 bytes in hexadecimal. */
  readonly nonce: string;
}

/** The identity for `replayFrom`; `header` is that of the last segment that starts at or before it. */
export function identityAt(header: SegmentHeader, replayFrom: number): LogIdentity {
  const before = header.firstSeq === replayFrom ? header.previous : undefined;
  const { firstSeq, nonce } = before ?? header;
  return { firstSeq, nonce: nonce.toString('hex') };
}

/**
 * The identity of the log in `folder` for `replayFrom`, before which it has all events; `undefined` where it
 * begins. Throws LogDamagedError when that segment's header is damaged.
 */
export function readIdentity(
  files: FileSystem,
  folder: string,
  replayFrom: number,
): LogIdentity | undefined {
  const firstSeq = listSegments(files, folder).findLast((seq) => seq <= replayFrom);
  if (firstSeq === undefined) throw new Error(`no segment of ${folder} holds seq ${replayFrom}`);
  const header = readSegmentHeader(files, folder, firstSeq);
  const isBeginning = header.firstSeq === replayFrom && header.previous === undefined;
  return isBeginning ? undefined : identityAt(header, replayFrom);
}
