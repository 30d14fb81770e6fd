/**
 * The bytes of a segment in memory: loading them, handing out the slots of a frame in place, and
 * what the checks of a frame alone can't tell. Log thread at start; also the command-line tools.
 */
import { nextPowerOfTwo } from '../ring/intake-ring.ts';
import {
  isMetaValid,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../ring/slot.ts';
import { type FileSystem, readFully } from './file-system.ts';
import { type CheckedFrame, checkFrame, FRAME_ALIGN_BYTES } from './format.ts';

/**
 * Called for each frame with events, in order: its slots stand in `slots` from index `first` on.
 * The memory is reused, and the caller may write to it.
 */
export type FrameVisitor = (slots: SlotViews, first: number, frame: CheckedFrame) => void;

/**
 * One file's bytes in memory, as a Buffer and as slots; reused from file to file. Also for shards of
 * a checkpoint, which have entries of the same size in frames.
 */
export class SegmentBytes {
  bytes = Buffer.alloc(0);
  /** Slots in a file stand at multiples of 64 bytes: odd ones need views that start at 64. */
  #even = new SlotViews(this.bytes.buffer, 0, 0);
  #odd = this.#even;

  /** Fills it from the file and returns how many bytes there are. */
  load(files: FileSystem, path: string): number {
    const file = files.openForReading(path);
    try {
      const size = files.size(file);
      if (this.bytes.length < size) {
        // Rounded up: the next file is often a little longer, and fresh pages cost more than reading.
        const slots = nextPowerOfTwo(Math.ceil(size / SLOT_BYTES));
        const memory = new ArrayBuffer((slots + 1) * SLOT_BYTES);
        // Without the last slot, which is there for the odd views: as long as the shorter of both.
        this.bytes = Buffer.from(memory, 0, slots * SLOT_BYTES);
        this.#even = new SlotViews(memory, 0, slots);
        this.#odd = new SlotViews(memory, FRAME_ALIGN_BYTES, slots);
      }
      return readFully(files, file, this.bytes, 0, size, 0);
    } finally {
      files.close(file);
    }
  }

  /** The slots from `byte` on (a multiple of 64): views, and the index of the first one. */
  slotsAt(byte: number): { readonly slots: SlotViews; readonly first: number } {
    return byte % SLOT_BYTES === 0
      ? { slots: this.#even, first: byte / SLOT_BYTES }
      : { slots: this.#odd, first: (byte - FRAME_ALIGN_BYTES) / SLOT_BYTES };
  }
}

/** What the checksum can't know: that these are events of this version, in their order. */
export function findBadSlot(
  slots: SlotViews,
  first: number,
  frame: CheckedFrame,
): string | undefined {
  for (let i = 0; i < frame.count; i++) {
    const meta = slots.words[(first + i) * SLOT_WORDS + SLOT_META] as number;
    const seq = slots.doubles[(first + i) * SLOT_DOUBLES + SLOT_SEQ] as number;
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

/** Where the first whole frame of the segment stands, from `from` on; `undefined` = nowhere. */
export function findFrame(file: Buffer, from: number, nonce: Buffer): number | undefined {
  for (let at = from; at < file.length; at += FRAME_ALIGN_BYTES) {
    if (typeof checkFrame(file, at, nonce) !== 'string') return at;
  }
  return undefined;
}
