/**
 * Walks the frames of one file (a segment, a checkpoint's shard) past damage: what does not prove
 * whole is reported, and the walk goes on at the next frame that does. Pure.
 */
import {
  type CheckedFrame,
  checkFrame,
  FRAME_ALIGN_BYTES,
  FRAME_HEADER_BYTES,
  NONCE_BYTES,
} from '../log/format.ts';
import { findFrame, isZero } from '../log/segment-bytes.ts';
import type { Fault, LoadedFile } from './loaded-file.ts';

/** Whole frames that follow each other without a gap. Seqs count entries in a checkpoint. */
export interface FrameRun {
  readonly offsetBytes: number;
  endBytes: number;
  readonly firstSeq: number;
  /** Seq behind the last event. */
  endSeq: number;
  frames: number;
}

export interface WalkOptions {
  readonly file: LoadedFile;
  readonly from: number;
  /** Frames start before it. */
  readonly to: number;
  readonly nonce: Buffer;
  /** What the first frame must follow; `undefined` = not known. */
  readonly chain: number | undefined;
  readonly firstSeq: number;
  /** Whether the file may end in a torn frame or in zeros before `to`. */
  readonly mayBeTorn: boolean;
  /** What is wrong with the content of a whole frame; such a frame is passed over. */
  readonly contentFault?: (at: number, frame: CheckedFrame) => string | undefined;
}

export interface Walk {
  readonly runs: readonly FrameRun[];
  readonly faults: readonly Fault[];
  /** Bytes behind the last frame that no crash-free writer leaves, and why. */
  readonly torn: { readonly offsetBytes: number; readonly reason: string } | undefined;
  readonly endBytes: number;
  readonly endSeq: number;
  /** Checksum of the last frame; `undefined` = there is none, or the walk ended in damage. */
  readonly chain: number | undefined;
  /** Seq of the last frame; 0 = none. */
  readonly lastFrameSeq: number;
  /** Whether the last frame has no events: the log was closed there. */
  readonly isSealed: boolean;
}

export function walkFrames(options: WalkOptions): Walk {
  const { file, to, nonce, mayBeTorn } = options;
  const { bytes, path } = file;
  const runs: FrameRun[] = [];
  const faults: Fault[] = [];
  let { from: at, chain, firstSeq: seq } = options;
  let torn: Walk['torn'];
  let lastFrameSeq = 0;
  let isSealed = false;
  let run: FrameRun | undefined;
  const fault = (offsetBytes: number, lengthBytes: number, reason: string) => {
    faults.push({ path, offsetBytes, lengthBytes, reason });
    run = undefined;
  };

  while (at < to) {
    const frame = checkFrame(bytes, at, nonce);
    if (typeof frame === 'string') {
      if (mayBeTorn && isZero(bytes, at)) break;
      const good = findFrame(bytes.subarray(0, to), at + FRAME_ALIGN_BYTES, nonce);
      if (good === undefined && mayBeTorn) {
        torn = { offsetBytes: at, reason: frame };
        break;
      }
      const next = good ?? to;
      fault(at, next - at, good === undefined ? frame : `${frame}; a whole frame follows`);
      chain = undefined;
      at = next;
      continue;
    }
    const bad = options.contentFault?.(at, frame);
    if (frame.firstSeq < seq) {
      fault(at, frame.bytes, `the frame starts with ${frame.firstSeq}, which was there before`);
    } else if (bad !== undefined) {
      fault(at, frame.bytes, bad);
    } else {
      if (chain !== undefined && (frame.chain !== chain || frame.firstSeq !== seq)) {
        fault(at, 0, `the frame does not follow ${seq - 1}`);
      }
      run = extend(runs, run, at, frame);
      seq = run.endSeq;
    }
    lastFrameSeq = frame.firstSeq;
    isSealed = frame.count === 0;
    chain = frame.crc;
    at += frame.bytes;
  }
  return { runs, faults, torn, endBytes: at, endSeq: seq, chain, lastFrameSeq, isSealed };
}

/** Adds a frame to the run that it goes on, or to a new one when it follows a gap. */
function extend(
  runs: FrameRun[],
  open: FrameRun | undefined,
  at: number,
  frame: CheckedFrame,
): FrameRun {
  const endSeq = frame.firstSeq + frame.count;
  if (open === undefined) {
    const run = { offsetBytes: at, endBytes: at, firstSeq: frame.firstSeq, endSeq, frames: 0 };
    runs.push(run);
    open = run;
  }
  open.endBytes = at + frame.bytes;
  open.endSeq = endSeq;
  open.frames++;
  return open;
}

/** The nonce that the first whole frame behind `from` names, when the file's own is not known. */
export function nonceOfFrames(bytes: Buffer, from: number): Buffer | undefined {
  for (let at = from; at + FRAME_HEADER_BYTES <= bytes.length; at += FRAME_ALIGN_BYTES) {
    const nonce = bytes.subarray(at + 32, at + 32 + NONCE_BYTES);
    if (typeof checkFrame(bytes, at, nonce) !== 'string') return Buffer.from(nonce);
  }
  return undefined;
}
