/**
 * The seam between the log and the disk: the few calls the log makes, each with the promise it
 * relies on. Synchronous, because the log thread does nothing else. Tests put a faulty disk here.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';

/** An open file; a number only its own file system understands. */
export type FileHandle = number;

/** All calls throw the system's error (`code` EIO, ENOSPC, …) when they fail. */
export interface FileSystem {
  /** Creates the folder and its parents if missing; durable after `syncFolder` of the parents. */
  makeFolder(path: string): void;
  /** Names in a folder, in no order. */
  list(folder: string): string[];
  /** Opens an existing file for reading and writing. */
  open(path: string): FileHandle;
  /** Opens an existing file for reading only. */
  openForReading(path: string): FileHandle;
  /**
   * Creates the file, empty, over any that is there, and opens it for reading and writing. `mode`:
   * who may do what with a new file.
   */
  create(path: string, mode?: number): FileHandle;
  close(file: FileHandle): void;
  size(file: FileHandle): number;
  /** Reads up to `length` bytes to `buffer[at…]` from `position`; returns how many (0 at the end). */
  read(file: FileHandle, buffer: Uint8Array, at: number, length: number, position: number): number;
  /** Writes up to `length` bytes of `buffer[at…]` to `position`; returns how many: may be fewer. */
  write(file: FileHandle, buffer: Uint8Array, at: number, length: number, position: number): number;
  truncate(file: FileHandle, length: number): void;
  /** After it returned, all that was written to the file survives a power loss. */
  syncData(file: FileHandle): void;
  /** Replaces `to` in one step; durable after `syncFolder`. */
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** Removes a folder and the files in it. */
  removeFolder(path: string): void;
  /** After it returned, names created, renamed and removed in the folder survive a power loss. */
  syncFolder(folder: string): void;
}

export class NodeFileSystem implements FileSystem {
  /** Of the open files, because the system's errors about an open file don't say which. */
  readonly #paths = new Map<FileHandle, string>();

  /**
   * Step by step: Node's own `recursive` asks for parent and child in turns for ever where a folder is
   * there and nothing can be made in it (/proc; a bind mount whose source was removed; Node 24.21).
   */
  makeFolder(path: string): void {
    const missing: string[] = [];
    for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at);
    for (const folder of missing.reverse()) {
      try {
        mkdirSync(folder);
      } catch (error) {
        // Somebody else made it meanwhile, or it is a link to nowhere.
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !existsSync(folder)) throw error;
      }
    }
    if (!statSync(path).isDirectory()) {
      throw Object.assign(new Error(`ENOTDIR: not a directory, mkdir '${path}'`), {
        code: 'ENOTDIR',
      });
    }
  }
  list(folder: string): string[] {
    return readdirSync(folder);
  }
  open(path: string): FileHandle {
    return this.#opened(path, 'r+');
  }
  openForReading(path: string): FileHandle {
    return this.#opened(path, 'r');
  }
  create(path: string, mode = 0o640): FileHandle {
    return this.#opened(path, 'w+', mode);
  }
  close(file: FileHandle): void {
    this.#paths.delete(file);
    closeSync(file);
  }
  size(file: FileHandle): number {
    try {
      return fstatSync(file).size;
    } catch (error) {
      throw this.#placed(error, file);
    }
  }
  read(file: FileHandle, buffer: Uint8Array, at: number, length: number, position: number): number {
    try {
      return readSync(file, buffer, at, length, position);
    } catch (error) {
      throw this.#placed(error, file);
    }
  }
  write(
    file: FileHandle,
    buffer: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): number {
    try {
      return writeSync(file, buffer, at, length, position);
    } catch (error) {
      throw this.#placed(error, file);
    }
  }
  truncate(file: FileHandle, length: number): void {
    try {
      ftruncateSync(file, length);
    } catch (error) {
      throw this.#placed(error, file);
    }
  }
  syncData(file: FileHandle): void {
    try {
      fdatasyncSync(file);
    } catch (error) {
      throw this.#placed(error, file);
    }
  }
  rename(from: string, to: string): void {
    renameSync(from, to);
  }
  remove(path: string): void {
    unlinkSync(path);
  }
  removeFolder(path: string): void {
    rmSync(path, { recursive: true });
  }
  syncFolder(folder: string): void {
    const handle = openSync(folder, 'r');
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  }

  /** What errors call the open file. */
  protected named(file: FileHandle, path: string): void {
    this.#paths.set(file, path);
  }

  #opened(path: string, flags: string, mode = 0o640): FileHandle {
    const file = openSync(path, flags, mode);
    this.named(file, path);
    return file;
  }

  /** The error with its place: "ENOSPC: no space left on device, write '/backup/log/…'". */
  #placed(error: unknown, file: FileHandle): unknown {
    const path = this.#paths.get(file);
    if (error instanceof Error && path !== undefined) error.message += ` '${path}'`;
    return error;
  }
}

/** Writes all of `buffer[at … at + length)`, however short the single writes are. */
export function writeFully(
  files: FileSystem,
  file: FileHandle,
  buffer: Uint8Array,
  at: number,
  length: number,
  position: number,
): void {
  let done = 0;
  while (done < length) {
    const written = files.write(file, buffer, at + done, length - done, position + done);
    if (written <= 0) throw new Error(`write returned ${written} for ${length - done} bytes`);
    done += written;
  }
}

/** Reads `length` bytes or as many as the file has; returns how many. */
export function readFully(
  files: FileSystem,
  file: FileHandle,
  buffer: Uint8Array,
  at: number,
  length: number,
  position: number,
): number {
  let done = 0;
  while (done < length) {
    const got = files.read(file, buffer, at + done, length - done, position + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}
