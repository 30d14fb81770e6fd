/**
 * Everything there is to know about one segment without its neighbours: header, whole frames, where
 * it ends, what is wrong. How far it counts comes from the segment that follows it, if one does.
 * Reads only.
 */
import { join } from 'node:path';
import type { FileSystem } from '../log/file-system.ts';
import {
  type CheckedFrame,
  checkFrame,
  FRAME_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentEnd,
  type SegmentHeader,
  segmentName,
  unpackSegmentHeader,
} from '../log/format.ts';
import { type FrameVisitor, findBadSlot } from '../log/segment-bytes.ts';
import { type FrameRun, nonceOfFrames, type Walk, walkFrames } from './frame-walk.ts';
import { type Fault, LoadedFile } from './loaded-file.ts';

export interface SegmentScan {
  readonly path: string;
  /** First seq as the file's name says it. */
  readonly nameSeq: number;
  /** First seq as its header says it; as its name does when the header is damaged. */
  readonly firstSeq: number;
  readonly bytes: number;
  /** `undefined` = damaged. */
  readonly header: SegmentHeader | undefined;
  /** The header's, or else what other evidence says; `undefined` = nothing does. */
  readonly nonce: Buffer | undefined;
  readonly walk: Walk;
  readonly faults: readonly Fault[];
}

/** Says how far the segment with this header (or, if that is damaged, this name) counts. */
export type EndLookup = (
  header: SegmentHeader | undefined,
  nameSeq: number,
) => SegmentEnd | undefined;

const NOTHING: Walk = {
  runs: [],
  faults: [],
  torn: undefined,
  endBytes: SEGMENT_HEADER_BYTES,
  endSeq: 0,
  chain: undefined,
  lastFrameSeq: 0,
  isSealed: false,
};

/** Scans one segment; `undefined` when it is not there any more. */
export function scanSegment(
  files: FileSystem,
  folder: string,
  nameSeq: number,
  endOf: EndLookup,
): SegmentScan | undefined {
  const path = join(folder, segmentName(nameSeq));
  const file = LoadedFile.load(files, path);
  if (file === undefined) return undefined;
  const { bytes } = file;
  const faults: Fault[] = [...file.faults];
  const fault = (offsetBytes: number, lengthBytes: number, reason: string) =>
    faults.push({ path, offsetBytes, lengthBytes, reason });

  const unpacked = unpackSegmentHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES));
  const header = typeof unpacked === 'string' ? undefined : unpacked;
  if (typeof unpacked === 'string') fault(0, SEGMENT_HEADER_BYTES, unpacked);
  const firstSeq = header?.firstSeq ?? nameSeq;
  if (firstSeq !== nameSeq) fault(16, 8, `it says that it starts with seq ${firstSeq}`);

  const counted = endOf(header, nameSeq);
  const nonce =
    header?.nonce ?? counted?.nonce ?? nonceOfFrames(bytes, SEGMENT_HEADER_BYTES) ?? undefined;
  const common = { path, nameSeq, firstSeq, bytes: bytes.length, header, nonce, faults };
  if (nonce === undefined) return { ...common, walk: { ...NOTHING, endSeq: firstSeq } };

  const walk = walkFrames({
    file,
    from: SEGMENT_HEADER_BYTES,
    to: counted?.endBytes ?? bytes.length,
    nonce,
    chain: header === undefined ? undefined : (header.previous?.chain ?? 0),
    firstSeq,
    mayBeTorn: counted === undefined,
    contentFault: (at, frame) => slotFault(file, at, frame),
  });
  faults.push(...walk.faults);
  if (counted !== undefined && walk.chain !== undefined) {
    const { endBytes, chain } = counted;
    const isAsSaid = walk.endBytes === endBytes && walk.chain === chain;
    if (!isAsSaid) fault(walk.endBytes, 0, `it should end at ${endBytes}, as the next one says`);
  }
  return { ...common, walk };
}

/**
 * Hands out the frames of one run again. The memory is the caller's; it may write to it.
 * Throws when the file changed since it was scanned.
 */
export function visitRun(
  file: LoadedFile,
  { nonce }: SegmentScan,
  run: FrameRun,
  visit: FrameVisitor,
): void {
  for (let at = run.offsetBytes; at < run.endBytes; ) {
    const frame = checkFrame(file.bytes, at, nonce as Buffer);
    if (typeof frame === 'string') throw new Error(`${file.path}: ${frame}, since it was scanned`);
    const { slots, first } = file.slotsAt(at + FRAME_HEADER_BYTES);
    if (frame.count > 0) visit(slots, first, frame);
    at += frame.bytes;
  }
}

function slotFault(file: LoadedFile, at: number, frame: CheckedFrame): string | undefined {
  const { slots, first } = file.slotsAt(at + FRAME_HEADER_BYTES);
  return findBadSlot(slots, first, frame);
}
