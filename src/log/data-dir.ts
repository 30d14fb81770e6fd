/**
 * The data folder: made, and held by one process at a time. Main thread.
 *
 * The hold is the exclusive lock of an SQLite file, because Node has no file locks of its own and
 * SQLite (built into Node) takes the kernel's: it ends with the process, however that ends, and it
 * can't be confused by a reused process id or by containers that share the volume.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type FileSystem, NodeFileSystem } from './file-system.ts';

export const LOG_FOLDER = 'log';
export const CHECKPOINT_FOLDER = 'checkpoint';
export const LOCK_NAME = 'lock';
export const HOLDER_NAME = 'holder.json';

/** Another process holds the folder, or it can't be used. One line, meant for the operator. */
export class DataDirError extends Error {
  override readonly name = 'DataDirError';
}

export class DataDir {
  /** Folder of the log's segments. */
  readonly logFolder: string;
  /** Folder of the checkpoints. */
  readonly checkpointFolder: string;
  readonly #lock: DatabaseSync;

  private constructor(root: string, lock: DatabaseSync) {
    this.logFolder = join(root, LOG_FOLDER);
    this.checkpointFolder = join(root, CHECKPOINT_FOLDER);
    this.#lock = lock;
  }

  /** Makes the folder if need be and takes hold of it. Throws DataDirError. */
  static open(path: string): DataDir {
    const root = resolve(path);
    try {
      makeDurably(new NodeFileSystem(), root);
    } catch (error) {
      throw new DataDirError(`can't use DATA_DIR ${root}: ${(error as Error).message}`);
    }
    return new DataDir(root, takeLock(root));
  }

  /** Lets go of it. */
  close(): void {
    this.#lock.close();
  }
}

/**
 * Makes the two folders in `root` and all missing parents, and their names durable: also of those
 * that were there, because who made them may have died before that. A parent that may be passed
 * through but not read (systemd's private state folders) is not ours and was there before.
 */
export function makeDurably(files: FileSystem, root: string): void {
  files.makeFolder(join(root, LOG_FOLDER));
  files.makeFolder(join(root, CHECKPOINT_FOLDER));
  files.syncFolder(root);
  for (let at = root; at !== dirname(at); at = dirname(at)) {
    try {
      files.syncFolder(dirname(at));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EACCES' && code !== 'EPERM') throw error;
    }
  }
}

function takeLock(root: string): DatabaseSync {
  const holder = join(root, HOLDER_NAME);
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(join(root, LOCK_NAME));
    // Not 0: `verify` looks at the lock for a moment, and that must not refuse a start.
    lock.exec('PRAGMA journal_mode = MEMORY; PRAGMA busy_timeout = 100; BEGIN EXCLUSIVE');
  } catch (error) {
    lock?.close();
    if (!/locked|busy/.test((error as Error).message)) {
      throw new DataDirError(`can't lock DATA_DIR ${root}: ${(error as Error).message}`);
    }
    throw new DataDirError(`DATA_DIR ${root} is held by ${readHolder(holder)}`);
  }
  const started = new Date().toISOString();
  writeFileSync(holder, `${JSON.stringify({ pid: process.pid, host: hostname(), started })}\n`);
  return lock;
}

/** Who wrote the holder's file at `path`, in words. */
export function readHolder(path: string): string {
  try {
    const { pid, host, started } = JSON.parse(readFileSync(path, 'utf8'));
    return `process ${pid} on ${host}, started ${started}`;
  } catch {
    return 'another process';
  }
}
