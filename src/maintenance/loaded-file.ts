/**
 * A whole file of the data folder in memory, also from a disk that can't read all of it: blocks
 * that fail are zeros here and are listed, so that the rest can still be checked and saved.
 */
import { type FileHandle, type FileSystem, readFully } from '../log/file-system.ts';
import { FRAME_ALIGN_BYTES } from '../log/format.ts';
import { SLOT_BYTES, SlotViews } from '../ring/slot.ts';
import { throwIfUnreadable } from './unreadable-error.ts';

/** What is read, and given up, at a time once a read has failed. */
const BLOCK_BYTES = 4096;

/** Something in a file that is not as it must be. */
export interface Fault {
  readonly path: string;
  readonly offsetBytes: number;
  /** Bytes that can't be used because of it; 0 = none, or not a matter of bytes. */
  readonly lengthBytes: number;
  readonly reason: string;
}

export class LoadedFile {
  readonly path: string;
  readonly bytes: Buffer;
  /** Blocks that could not be read. */
  readonly faults: readonly Fault[];
  readonly #even: SlotViews;
  readonly #odd: SlotViews;

  private constructor(path: string, memory: ArrayBuffer, sizeBytes: number, faults: Fault[]) {
    const slots = Math.ceil(sizeBytes / SLOT_BYTES);
    this.path = path;
    this.bytes = Buffer.from(memory).subarray(0, sizeBytes);
    this.faults = faults;
    this.#even = new SlotViews(memory, 0, slots);
    this.#odd = new SlotViews(memory, slots === 0 ? 0 : FRAME_ALIGN_BYTES, slots);
  }

  /** Reads it; `undefined` when there is none. One that can't be opened has no bytes and a fault. */
  static load(files: FileSystem, path: string): LoadedFile | undefined {
    let file: FileHandle;
    try {
      file = files.openForReading(path);
    } catch (error) {
      throwIfUnreadable(error, path);
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      const reason = `can't be opened: ${message}`;
      return new LoadedFile(path, new ArrayBuffer(0), 0, [
        { path, offsetBytes: 0, lengthBytes: 0, reason },
      ]);
    }
    try {
      const size = files.size(file);
      // A slot more than it has, so that views of whole slots may start at byte 64.
      const memory = new ArrayBuffer((Math.ceil(size / SLOT_BYTES) + 1) * SLOT_BYTES);
      const bytes = Buffer.from(memory);
      const faults: Fault[] = [];
      let got = size;
      try {
        got = readFully(files, file, bytes, 0, size, 0);
      } catch {
        readBlocks(files, file, path, bytes.fill(0), size, faults);
      }
      return new LoadedFile(path, memory, got, faults);
    } finally {
      files.close(file);
    }
  }

  /** The slots from byte `at` on (a multiple of 64): views, and the index of the first one. */
  slotsAt(at: number): { readonly slots: SlotViews; readonly first: number } {
    return at % SLOT_BYTES === 0
      ? { slots: this.#even, first: at / SLOT_BYTES }
      : { slots: this.#odd, first: (at - FRAME_ALIGN_BYTES) / SLOT_BYTES };
  }
}

function readBlocks(
  files: FileSystem,
  file: FileHandle,
  path: string,
  bytes: Buffer,
  size: number,
  faults: Fault[],
): void {
  for (let at = 0; at < size; at += BLOCK_BYTES) {
    const length = Math.min(BLOCK_BYTES, size - at);
    try {
      readFully(files, file, bytes, at, length, at);
    } catch (error) {
      const reason = `can't be read: ${(error as Error).message}`;
      faults.push({ path, offsetBytes: at, lengthBytes: length, reason });
    }
  }
}
