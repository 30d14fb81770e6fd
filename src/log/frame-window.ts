/**
 * The part of a file of frames that is just being read: a window in memory that moves along the
 * file, so that a long log is read through memory that stays warm. Fresh pages for whole files would
 * cost more than reading them. Segments, and the files of a checkpoint, which have entries of the
 * same size in frames. Log thread at start, the checkpoint's thread; also the command-line tools.
 *
 *   file    ├────────────┬───────── bytes ─────────┬──────────────────────┤
 *           0            base                      base + bytes.length    size
 */
import { nextPowerOfTwo } from '../ring/intake-ring.ts';
import { SLOT_BYTES, SlotViews } from '../ring/slot.ts';
import { type FileHandle, type FileSystem, readFully } from './file-system.ts';
import {
  type CheckedFrame,
  checkFrame,
  claimedBytes,
  FRAME_ALIGN_BYTES,
  FRAME_HEADER_BYTES,
} from './format.ts';

/** Loaded at once, or more where a frame is longer: some of the longest frames that are written. */
const WINDOW_BYTES = 4 << 20;

export class FrameWindow {
  readonly #files: FileSystem;
  readonly #windowBytes: number;
  #file: FileHandle | undefined;
  #size = 0;
  #base = 0;
  #bytes = Buffer.alloc(0);
  #memory = new ArrayBuffer(0);
  /** Slots in a file stand at multiples of 64 bytes: odd ones need views that start at 64. */
  #even = new SlotViews(this.#memory, 0, 0);
  #odd = this.#even;

  constructor(files: FileSystem, windowBytes = WINDOW_BYTES) {
    this.#files = files;
    this.#windowBytes = windowBytes;
  }

  /** Reads the file with `read`, which may ask for any part of it. The memory is kept for the next. */
  reading<T>(path: string, read: () => T): T {
    const file = this.#files.openForReading(path);
    try {
      this.#file = file;
      this.#size = this.#files.size(file);
      this.#base = 0;
      this.#bytes = this.#bytes.subarray(0, 0);
      return read();
    } finally {
      this.#file = undefined;
      this.#files.close(file);
    }
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#size;
  }

  /** The `length` bytes from `at` (a multiple of 64) on, or as many as the file has. */
  part(at: number, length: number): Buffer {
    this.#load(at, length);
    return this.#bytes.subarray(at - this.#base, at - this.#base + length);
  }

  /** The frame at `at` (a multiple of 64), or a sentence that says why there is none. */
  frameAt(at: number, nonce: Buffer): CheckedFrame | string {
    this.#load(at, FRAME_HEADER_BYTES);
    this.#load(at, claimedBytes(this.#bytes, at - this.#base));
    return checkFrame(this.#bytes, at - this.#base, nonce, this.#base);
  }

  /**
   * The slots from byte `at` (a multiple of 64) on, of a frame that `frameAt` gave last: views, and
   * the index of the first one. They may be written to; the next frame has other ones.
   */
  slotsAt(at: number): { readonly slots: SlotViews; readonly first: number } {
    const byte = at - this.#base;
    return byte % SLOT_BYTES === 0
      ? { slots: this.#even, first: byte / SLOT_BYTES }
      : { slots: this.#odd, first: (byte - FRAME_ALIGN_BYTES) / SLOT_BYTES };
  }

  #load(at: number, length: number): void {
    const end = Math.min(at + length, this.#size);
    if (at >= this.#base && end <= this.#base + this.#bytes.length) return;
    if (this.#file === undefined) throw new Error('no file is open');
    this.#base = at - (at % SLOT_BYTES);
    const wanted = Math.min(
      Math.max(end - this.#base, this.#windowBytes),
      Math.max(this.#size - this.#base, 0),
    );
    if (this.#memory.byteLength < wanted + SLOT_BYTES) this.#grow(wanted);
    const memory = Buffer.from(this.#memory);
    const got = readFully(this.#files, this.#file, memory, 0, wanted, this.#base);
    this.#bytes = memory.subarray(0, got);
  }

  #grow(bytes: number): void {
    const slots = nextPowerOfTwo(Math.ceil(bytes / SLOT_BYTES));
    // One more than both views have, because the odd ones begin later.
    this.#memory = new ArrayBuffer((slots + 1) * SLOT_BYTES);
    this.#even = new SlotViews(this.#memory, 0, slots);
    this.#odd = new SlotViews(this.#memory, FRAME_ALIGN_BYTES, slots);
  }
}
