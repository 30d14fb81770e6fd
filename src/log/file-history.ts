/**
 * The file log's history: its segments, read on libuv's threads in chunks that hold at least one
 * whole frame. Main thread; reads only.
 *
 * Which bytes count. A segment's frames count up to the seq with which the next segment begins; what
 * stands behind (a frame of a failed flush, or of a log thread that died, under seqs that the next
 * segment gave again; preallocated zeros) bears no seq below that. In the newest segment, frames
 * count up to the next seq of the progress record: a frame is whole in the file before the record
 * says so, and readers only ask for applied events. So a bound in seqs is all that is needed, and
 * every frame must prove itself by checksum, nonce and offset, as at a start.
 *
 * What may happen meanwhile:
 *  - A frame is being written behind the bound: it is not looked at.
 *  - The log rolls over to a fresh segment: the progress record names another one, and the folder is
 *    listed again. The record was stored after the file had its name, so the list has it. That is asked
 *    before every chunk: what was the newest segment may have a void frame under the next seqs.
 *  - Retention removes the segment: an open file can be read to its end; one that is not there any
 *    more when it is opened makes the reader list again, and find that the log begins later.
 *  - A segment without events is replaced by one of the same name: nobody is sent there before the
 *    new one holds committed events.
 */

import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogProgress } from '../ring/progress.ts';
import { SLOT_BYTES, type SlotViews } from '../ring/slot.ts';
import type { HistoryCursor, LogHistory } from './event-log.ts';
import {
  checkFrame,
  FRAME_HEADER_BYTES,
  frameBytes,
  parseSegmentName,
  SEGMENT_HEADER_BYTES,
  segmentName,
  unpackSegmentHeader,
} from './format.ts';
import { FRAME_SLOTS_MAX } from './frame-content.ts';
import { segmentFirstSeq } from './segment-ends.ts';

/** Chunks in use at the same time: bounds the memory, and the reads that wait for the disk. */
const CHUNKS_MAX = 4;
/** Holds every frame there can be. */
const CHUNK_BYTES = frameBytes(FRAME_SLOTS_MAX);

/** The calls that it makes of the disk; each rejects with the system's error. */
export interface HistoryFiles {
  list(folder: string): Promise<string[]>;
  open(path: string): Promise<HistoryFile>;
}

export interface HistoryFile {
  /** Reads up to `length` bytes to the start of `buffer`; says how many: fewer at the end only. */
  read(
    buffer: Buffer,
    at: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

const NODE_FILES: HistoryFiles = { list: readdir, open: (path) => open(path, 'r') };

export interface FileHistoryOptions {
  /** Folder of the segments. */
  readonly folder: string;
  readonly progress: LogProgress;
  /** Those of Node but in tests. */
  readonly files?: HistoryFiles;
}

/** The memory for chunks, shared by all who read files; first come, first served. */
export class FileHistory implements LogHistory {
  readonly options: FileHistoryOptions;
  readonly files: HistoryFiles;
  readonly #free: Buffer[] = [];
  readonly #waiting: ((chunk: Buffer) => void)[] = [];
  #made = 0;

  constructor(options: FileHistoryOptions) {
    this.options = options;
    this.files = options.files ?? NODE_FILES;
  }

  open(): FileCursor {
    return new FileCursor(this);
  }

  /** A chunk's memory, as soon as there is one. */
  acquire(): Promise<Buffer> {
    const free = this.#free.pop();
    if (free !== undefined) return Promise.resolve(free);
    if (this.#made < CHUNKS_MAX) {
      this.#made++;
      return Promise.resolve(Buffer.alloc(CHUNK_BYTES));
    }
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  release(chunk: Buffer): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(chunk);
    else next(chunk);
  }
}

interface OpenSegment {
  readonly file: HistoryFile;
  readonly firstSeq: number;
  readonly nonce: Buffer;
  /** First seq of the next segment; `undefined` = there was none when the folder was listed. */
  readonly nextFirst: number | undefined;
}

interface Frame {
  readonly firstSeq: number;
  readonly count: number;
  /** Byte in the chunk where its slots begin. */
  readonly slotsAt: number;
}

/** One reader's place in the files. */
class FileCursor implements HistoryCursor {
  readonly #history: FileHistory;
  #segment: OpenSegment | undefined;
  /** Byte of a frame at or before the place. */
  #offsetBytes = 0;
  #chunk: Buffer | undefined;
  /** Checked frames of the chunk. */
  #frames: Frame[] = [];
  #isLoading = false;
  #isClosed = false;

  constructor(history: FileHistory) {
    this.#history = history;
  }

  copy(from: number, until: number, slots: SlotViews): number {
    const frame = this.#frames.find((each) => from < each.firstSeq + each.count);
    if (frame === undefined || this.#chunk === undefined || from < frame.firstSeq) return 0;
    const skipped = from - frame.firstSeq;
    const room = slots.bytes.length / SLOT_BYTES;
    const count = Math.min(frame.count - skipped, until - from + 1, room);
    const at = frame.slotsAt + skipped * SLOT_BYTES;
    slots.bytes.set(this.#chunk.subarray(at, at + count * SLOT_BYTES));
    return count;
  }

  /**
   * Loads the chunk that begins with the frame of `from`. Throws what the file system throws, and when
   * the file is damaged.
   */
  async load(from: number): Promise<'loaded' | 'gone'> {
    this.#isLoading = true;
    try {
      const result = await this.#load(from);
      if (result === 'gone') this.release();
      return result;
    } finally {
      this.#isLoading = false;
      if (this.#isClosed) await this.#drop();
    }
  }

  async #load(from: number): Promise<'loaded' | 'gone'> {
    this.#chunk ??= await this.#history.acquire();
    for (;;) {
      const segment = await this.#segmentOf(from);
      if (segment === 'gone') return 'gone';
      if (await this.#readChunk(segment, this.#chunk, from)) return 'loaded';
    }
  }

  /** Gives the chunk back. */
  release(): void {
    if (this.#chunk !== undefined) this.#history.release(this.#chunk);
    this.#chunk = undefined;
    this.#frames = [];
  }

  /** Closes the file; not while `load` runs, which then does it. */
  close(): void {
    this.#isClosed = true;
    if (!this.#isLoading) void this.#drop();
  }

  async #drop(): Promise<void> {
    this.release();
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const file = this.#segment?.file;
    this.#segment = undefined;
    await file?.close();
  }

  /**
   * The seq up to which the segment's frames count now; `undefined` = another one came behind it since the
   * folder was listed.
   */
  #endOf({ firstSeq, nextFirst }: OpenSegment): number | undefined {
    if (nextFirst !== undefined) return nextFirst;
    // One record for both: the next seq of a later one may be another segment's.
    const record = this.#history.options.progress.load();
    const isNewest = record !== undefined && segmentFirstSeq(record.own) === firstSeq;
    return isNewest ? record.nextSeq : undefined;
  }

  async #segmentOf(from: number): Promise<OpenSegment | 'gone'> {
    for (;;) {
      if (this.#segment !== undefined) {
        const { firstSeq, nextFirst = Number.POSITIVE_INFINITY } = this.#segment;
        const isKnown = this.#endOf(this.#segment) !== undefined;
        if (isKnown && from >= firstSeq && from < nextFirst) return this.#segment;
        await this.#closeFile();
      }
      if (!(await this.#open(from))) return 'gone';
    }
  }

  /** Opens the segment that holds `from`; false if none does. */
  async #open(from: number): Promise<boolean> {
    const { folder } = this.#history.options;
    for (;;) {
      const names = await this.#history.files.list(folder);
      const all = names.map(parseSegmentName).filter((seq) => seq !== undefined);
      all.sort((a, b) => a - b);
      const at = all.findLastIndex((firstSeq) => firstSeq <= from);
      if (at === -1) return false;
      const firstSeq = all[at];
      const path = join(folder, segmentName(firstSeq));
      try {
        const file = await this.#history.files.open(path);
        const nonce = await readNonce(file, path);
        this.#segment = { file, firstSeq, nonce, nextFirst: all[at + 1] };
        this.#offsetBytes = SEGMENT_HEADER_BYTES;
        this.#frames = [];
        return true;
      } catch (error) {
        // Removed since the folder was listed.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  /**
   * Reads on from the offset and checks the frames; true once `from` is among them. False: read on, in the
   * segment that has it by now.
   */
  async #readChunk(segment: OpenSegment, chunk: Buffer, from: number): Promise<boolean> {
    const { file, nonce, firstSeq } = segment;
    const end = this.#endOf(segment);
    if (end === undefined) return false;
    const base = this.#offsetBytes;
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, base);
    const bytes = chunk.subarray(0, bytesRead);
    this.#frames = [];
    let at = 0;
    let seq = firstSeq;
    while (seq < end) {
      const frame = checkFrame(bytes, at, nonce, base);
      if (typeof frame === 'string') {
        if (at > 0) break;
        throw new Error(`${segmentName(firstSeq)} can't be read at byte ${base}: ${frame}`);
      }
      const slotsAt = at + FRAME_HEADER_BYTES;
      seq = frame.firstSeq + frame.count;
      at += frame.bytes;
      if (from < seq) this.#frames.push({ firstSeq: frame.firstSeq, count: frame.count, slotsAt });
      // Passed for good: the next chunk begins behind it.
      else this.#offsetBytes = base + at;
    }
    const [first] = this.#frames;
    if (first !== undefined ? first.firstSeq > from : at === 0) {
      throw new Error(`${segmentName(firstSeq)} does not hold seq ${from}`);
    }
    return first !== undefined;
  }
}

async function readNonce(file: HistoryFile, path: string): Promise<Buffer> {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  try {
    const { bytesRead } = await file.read(bytes, 0, SEGMENT_HEADER_BYTES, 0);
    const header = unpackSegmentHeader(bytes.subarray(0, bytesRead));
    if (typeof header === 'string') throw new Error(`${path}: ${header}`);
    return header.nonce;
  } catch (error) {
    await file.close();
    throw error;
  }
}
