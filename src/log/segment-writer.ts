/**
 * The open end of the log: one segment that frames are appended to. Log thread only.
 *
 * Room is preallocated with zeros while the thread is idle, because flushing an overwrite needs no
 * change of the file's size and so no journal write (see bench/flush.bench.ts for what that saves).
 * After any failed call the segment must not be written again: what the page cache says about it is
 * worthless (`fdatasync` may succeed the second time with the data lost). The caller opens the next
 * one, whose header says how far this one counts.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type FileHandle, type FileSystem, readFully, writeFully } from './file-system.ts';
import {
  FRAME_HEADER_BYTES,
  frameBytes,
  NONCE_BYTES,
  packSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentEnd,
  sealFrame,
  segmentName,
} from './format.ts';
import { readNewest, writeNewest } from './newest-file.ts';

const PREALLOCATE_BYTES = 1 << 20;
/** Preallocate again when less than this is left. */
const PREALLOCATE_LOW_BYTES = PREALLOCATE_BYTES / 4;
/** For all stretches of all segments: fresh pages for each cost more than writing them. */
const ZEROS = Buffer.alloc(PREALLOCATE_BYTES);

const TEMPORARY_SUFFIX = '.tmp';

/** Whether a file in the log's folder is a leftover of a segment that was never published. */
export function isTemporary(name: string): boolean {
  return name.endsWith(TEMPORARY_SUFFIX);
}

export class SegmentWriter {
  readonly firstSeq: number;
  readonly #files: FileSystem;
  readonly #file: FileHandle;
  readonly #nonce: Buffer;
  readonly #bytesMax: number;
  #endBytes: number;
  #chain: number;
  /** End of the zeros behind `#endBytes`; at most the file's size. */
  #preallocatedBytes: number;
  /** Off for good once the disk was found full. */
  #preallocates = true;

  private constructor(
    files: FileSystem,
    file: FileHandle,
    end: SegmentEnd,
    bytesMax: number,
    preallocatedBytes: number,
  ) {
    this.#files = files;
    this.#file = file;
    this.firstSeq = end.firstSeq;
    this.#nonce = end.nonce;
    this.#endBytes = end.endBytes;
    this.#chain = end.chain;
    this.#bytesMax = bytesMax;
    this.#preallocatedBytes = preallocatedBytes;
  }

  /**
   * Creates the segment that starts with `firstSeq` and follows `previous`. When this returns, the
   * file, its header and its name are durable. Replaces a segment of the same name, which can only
   * be one without any frame that counts.
   */
  static create(
    files: FileSystem,
    folder: string,
    firstSeq: number,
    previous: SegmentEnd | undefined,
    bytesMax: number,
    nowMs: number,
  ): SegmentWriter {
    const path = join(folder, segmentName(firstSeq));
    const nonce = randomBytes(NONCE_BYTES);
    const header = packSegmentHeader({ firstSeq, nonce, createdAtMs: nowMs, previous });
    const file = files.create(path + TEMPORARY_SUFFIX);
    try {
      writeFully(files, file, header, 0, header.length, 0);
      files.syncData(file);
      files.rename(path + TEMPORARY_SUFFIX, path);
      files.syncFolder(folder);
      writeNewest(files, folder, firstSeq);
    } catch (error) {
      closeQuietly(files, file);
      throw error;
    }
    const end = { firstSeq, nonce, endBytes: SEGMENT_HEADER_BYTES, chain: previous?.chain ?? 0 };
    return new SegmentWriter(files, file, end, bytesMax, SEGMENT_HEADER_BYTES);
  }

  /**
   * Opens an existing segment behind its last frame, of `lastFrameBytes`; everything after that is
   * cut off. What was read is not what a power loss leaves, so all that counts is made durable:
   *  1. The last frame is written again. The process before may have ended on its failed flush;
   *     since then the kernel shows the frame, takes it for clean and would not flush it any more.
   *  2. Cut and flushed.
   *  3. The name is flushed, and said to be the newest: that process may have ended in `create`.
   */
  static reopen(
    files: FileSystem,
    folder: string,
    end: SegmentEnd,
    lastFrameBytes: number,
    bytesMax: number,
  ): SegmentWriter {
    const file = files.open(join(folder, segmentName(end.firstSeq)));
    try {
      rewriteLastFrame(files, file, end, lastFrameBytes);
      files.truncate(file, end.endBytes);
      files.syncData(file);
      files.syncFolder(folder);
      if (readNewest(files, folder) !== end.firstSeq) writeNewest(files, folder, end.firstSeq);
    } catch (error) {
      closeQuietly(files, file);
      throw error;
    }
    return new SegmentWriter(files, file, end, bytesMax, end.endBytes);
  }

  /** How far this segment counts now. */
  get end(): SegmentEnd {
    return {
      firstSeq: this.firstSeq,
      nonce: this.#nonce,
      endBytes: this.#endBytes,
      chain: this.#chain,
    };
  }

  /** Whether a frame of `count` slots goes into this segment; the first one always does. */
  hasRoomFor(count: number): boolean {
    return (
      this.#endBytes === SEGMENT_HEADER_BYTES ||
      this.#endBytes + frameBytes(count) <= this.#bytesMax
    );
  }

  /**
   * Appends the frame whose `count` slots stand at `frame[FRAME_HEADER_BYTES…]` and flushes it.
   * When this returns, the frame survives a power loss. When it throws, the segment is done for.
   * `position`: where it stands in a replicated stream, if it does.
   */
  append(frame: Buffer, firstSeq: number, count: number, commitTimeMs: number, position = 0): void {
    const chain = sealFrame(frame, {
      firstSeq,
      count,
      commitTimeMs,
      nonce: this.#nonce,
      offsetBytes: this.#endBytes,
      chain: this.#chain,
      position,
    });
    const bytes = frameBytes(count);
    writeFully(this.#files, this.#file, frame, 0, bytes, this.#endBytes);
    this.#files.syncData(this.#file);
    this.#endBytes += bytes;
    this.#chain = chain;
    if (this.#preallocatedBytes < this.#endBytes) this.#preallocatedBytes = this.#endBytes;
  }

  /** Preallocates the next stretch if it is time; for idle moments. Throws as `append` does. */
  preallocate(): void {
    if (!this.#preallocates) return;
    if (this.#preallocatedBytes - this.#endBytes >= PREALLOCATE_LOW_BYTES) return;
    const from = this.#preallocatedBytes;
    const to = Math.min(this.#bytesMax, from + PREALLOCATE_BYTES);
    if (to <= from) return;
    try {
      writeFully(this.#files, this.#file, ZEROS, 0, to - from, from);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      // Room for the next frames may still be there; go on without the head start.
      this.#files.truncate(this.#file, from);
      this.#preallocates = false;
    }
    this.#files.syncData(this.#file);
    if (this.#preallocates) this.#preallocatedBytes = to;
  }

  /** Ends the log cleanly here: an empty frame that says so, the spare room cut, the file closed. */
  seal(nextSeq: number, commitTimeMs: number): void {
    this.append(Buffer.alloc(FRAME_HEADER_BYTES), nextSeq, 0, commitTimeMs);
    this.#files.truncate(this.#file, this.#endBytes);
    this.#files.syncData(this.#file);
    this.#files.close(this.#file);
  }

  /** Closes a full or failed segment as it is; never throws. */
  abandon(): void {
    closeQuietly(this.#files, this.#file);
  }
}

function rewriteLastFrame(
  files: FileSystem,
  file: FileHandle,
  end: SegmentEnd,
  bytes: number,
): void {
  if (bytes === 0) return;
  const frame = Buffer.alloc(bytes);
  const at = end.endBytes - bytes;
  readFully(files, file, frame, 0, bytes, at);
  // A cache that lost the frame since it was checked must not have it overwritten with the rest.
  if (crc32(frame.subarray(8)) !== end.chain) throw new Error('the last frame of the log changed');
  writeFully(files, file, frame, 0, bytes, at);
}

function closeQuietly(files: FileSystem, file: FileHandle): void {
  try {
    files.close(file);
  } catch {
    // Nothing relies on this file any more; the error that mattered is the caller's.
  }
}
