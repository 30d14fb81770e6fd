/**
 * Writes lines to a descriptor without ever waiting for it: what it doesn't take now (a full pipe, a
 * full disk, a reader that died) is kept, up to a bound, and tried again; what doesn't fit is dropped
 * and counted, and a line says how many as soon as lines flow again. Main thread, which all threads'
 * lines go through: so they come out whole and in order.
 *
 * At any moment: what the descriptor has taken · the rest of a line that it took a part of · whole
 * lines kept · (a gap, whose count stands where it is). A line is written directly only if nothing is
 * kept, and the note about a gap comes before the first line behind it.
 */
import { writeSync } from 'node:fs';
import type { StandardStream } from './standard-stream.ts';

export const KEPT_BYTES_MAX = 1 << 20;
const RETRY_MS_MIN = 10;
const RETRY_MS_MAX = 500;
/** How often a flush looks whether the reader has read. */
const FLUSH_LOOK_MS = 5;

export interface LineWriterOptions {
  readonly stream: StandardStream;
  /** The line that says how many are missing; ends with a newline. */
  readonly gapNote: (lines: number) => string;
  /** Stands in for the real call in tests. */
  readonly write?: (fd: number, bytes: Uint8Array) => number;
}

export class LineWriter {
  readonly #stream: StandardStream;
  readonly #gapNote: (lines: number) => string;
  readonly #write: (fd: number, bytes: Uint8Array) => number;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  /** Lines dropped since the last note. */
  #dropped = 0;
  #retryMs = RETRY_MS_MIN;
  #timer: NodeJS.Timeout | undefined;

  constructor({ stream, gapNote, write = writeSync }: LineWriterOptions) {
    this.#stream = stream;
    this.#gapNote = gapNote;
    this.#write = write;
  }

  /** Lines that are lost and not yet reported. */
  get dropped(): number {
    return this.#dropped;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /**
   * Writes or keeps a line, which ends with a newline; false if it is not out yet. `isVital` ones are
   * kept whatever the bound says.
   */
  line(text: string, isVital = false): boolean {
    const bytes = Buffer.from(text);
    if (this.#kept.length === 0) {
      // A gap is reported as soon as nothing is kept, so there is none.
      const written = this.#attempt(bytes);
      if (written === bytes.length) return true;
      this.#keep(bytes.subarray(written));
    } else if (isVital || this.#keptBytes + bytes.length <= KEPT_BYTES_MAX) {
      this.#noteGap();
      this.#keep(bytes);
    } else {
      this.#dropped++;
    }
    this.#timer ??= setTimeout(() => this.#retry(), this.#retryMs).unref();
    return false;
  }

  /**
   * Writes what is kept, waiting for the descriptor while it takes something at least every `idleMs`,
   * until `untilMs` (`performance.now()`) at the most. Blocks; tries once in any case.
   */
  flush(idleMs: number, untilMs: number): void {
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    for (let lastMs = performance.now(); this.#kept.length > 0; ) {
      if (this.#drain()) lastMs = performance.now();
      const nowMs = performance.now();
      if (this.#kept.length === 0 || nowMs >= untilMs || nowMs - lastMs >= idleMs) return;
      Atomics.wait(sleeper, 0, 0, FLUSH_LOOK_MS);
    }
  }

  #retry(): void {
    this.#timer = undefined;
    this.#retryMs = this.#drain() ? RETRY_MS_MIN : Math.min(RETRY_MS_MAX, 2 * this.#retryMs);
    if (this.#kept.length === 0) this.#retryMs = RETRY_MS_MIN;
    else this.#timer = setTimeout(() => this.#retry(), this.#retryMs).unref();
  }

  /** Writes what the descriptor takes; whether that was anything. */
  #drain(): boolean {
    let done = 0;
    let hasMoved = false;
    while (done < this.#kept.length) {
      const bytes = this.#kept[done];
      const written = this.#attempt(bytes);
      this.#keptBytes -= written;
      hasMoved ||= written > 0;
      if (written < bytes.length) {
        this.#kept[done] = bytes.subarray(written);
        break;
      }
      done++;
      if (done === this.#kept.length) this.#noteGap();
    }
    this.#kept.splice(0, done);
    return hasMoved;
  }

  #noteGap(): void {
    if (this.#dropped === 0) return;
    this.#keep(Buffer.from(this.#gapNote(this.#dropped)));
    this.#dropped = 0;
  }

  #keep(bytes: Uint8Array): void {
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
  }

  /** How many of the bytes were taken. What went wrong is the same to a log: not now. */
  #attempt(bytes: Uint8Array): number {
    try {
      return this.#write(this.#stream.fd, bytes);
    } catch {
      return 0;
    }
  }
}
