/**
 * The seam between the log and the disk: the few calls the log makes, each with the promise it
 * relies on. Synchronous, because the log thread does nothing else. Tests put a faulty disk here.
 */
import {
  closeSync,
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
  unlinkSync,
  writeSync,
} from 'node:fs';

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
  makeFolder(path: string): void {
    mkdirSync(path, { recursive: true });
  }
  list(folder: string): string[] {
    return readdirSync(folder);
  }
  open(path: string): FileHandle {
    return openSync(path, 'r+');
  }
  openForReading(path: string): FileHandle {
    return openSync(path, 'r');
  }
  create(path: string, mode = 0o640): FileHandle {
    return openSync(path, 'w+', mode);
  }
  close(file: FileHandle): void {
    closeSync(file);
  }
  size(file: FileHandle): number {
    return fstatSync(file).size;
  }
  read(file: FileHandle, buffer: Uint8Array, at: number, length: number, position: number): number {
    return readSync(file, buffer, at, length, position);
  }
  write(
    file: FileHandle,
    buffer: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): number {
    return writeSync(file, buffer, at, length, position);
  }
  truncate(file: FileHandle, length: number): void {
    ftruncateSync(file, length);
  }
  syncData(file: FileHandle): void {
    fdatasyncSync(file);
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
