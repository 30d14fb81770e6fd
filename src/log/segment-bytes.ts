/**
 * The bytes of a segment: what the checks of a frame alone can't find out. Log thread at start; also the
 * command-line tools. Pure.
 */
import {
  isMetaValid,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import { type CheckedFrame, checkFrame, FRAME_ALIGN_BYTES } from './format.ts';

/**
 * Called for each frame with events, in order: its slots stand in `slots` from index `first` on.
 * The memory is reused, and the caller may write to it.
 */
export type FrameVisitor = (slots: SlotViews, first: number, frame: CheckedFrame) => void;

/** What the checksum can't know: that these are events of this version, in their order. */
export function findBadSlot(
  slots: SlotViews,
  first: number,
  frame: CheckedFrame,
): string | undefined {
  for (let i = 0; i < frame.count; i++) {
    const meta = slots.words[(first + i) * SLOT_WORDS + SLOT_META];
    const seq = slots.doubles[(first + i) * SLOT_DOUBLES + SLOT_SEQ];
    if (!isMetaValid(meta)) return `seq ${frame.firstSeq + i} is no event of this version`;
    if (seq !== frame.firstSeq + i) return `seq ${seq} stands where ${frame.firstSeq + i} should`;
  }
  return undefined;
}

/** Whether all bytes of `file` from `from` on are zero. */
export function isZero(file: Buffer, from: number): boolean {
  for (let i = from; i < file.length; i++) if (file[i] !== 0) return false;
  return true;
}

/**
 * Where the first whole frame stands, from `from` on, in `file`: a segment's bytes from offset `base`
 * on. `undefined` = nowhere.
 */
export function findFrame(file: Buffer, from: number, nonce: Buffer, base = 0): number | undefined {
  for (let at = from; at < file.length; at += FRAME_ALIGN_BYTES) {
    if (typeof checkFrame(file, at, nonce, base) !== 'string') return at;
  }
  return undefined;
}
