/**
 * The data folder: made, and held by one process at a time, through its locks (folder-lock.ts) and
 * through open descriptors (held-files.ts). Main thread.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { isAccessError, ownerHint } from './access.ts';
import { type FileSystem, NodeFileSystem } from './file-system.ts';
import {
  FolderGuard,
  HELD_CHECKPOINT,
  HELD_LOG,
  HELD_ROOT,
  type HeldIndex,
} from './folder-guard.ts';
import { FolderLock, identityOf, isHeldByOther, LOCK_NAME, lockPaths } from './folder-lock.ts';
import { canGoByDescriptor, type HeldFolder, heldPath } from './held-files.ts';

export const LOG_FOLDER = 'log';
export const CHECKPOINT_FOLDER = 'checkpoint';
/** What sinks keep in the data folder (sinks/identity.ts, sinks/dead-letters.ts). */
export const SINKS_FOLDER = 'sinks';
export const LETTERS_FILE = join(SINKS_FOLDER, 'dead-letters.db');
export const HOLDER_NAME = 'holder.json';

/** Another process holds the folder, or it can't be used. One line, meant for the operator. */
export class DataDirError extends Error {
  override readonly name = 'DataDirError';
}

/** Another process holds the folder. */
export class FolderHeldError extends DataDirError {}

/** How a folder that was opened stands now. */
export type FolderState =
  /** It is where it was. */
  | 'there'
  /** It, or the way to it, was removed, and nothing or an empty folder stands in its place. */
  | 'removed'
  /** It was renamed, covered by a mount or replaced by another one with files in it. */
  | 'elsewhere';

/** What to say of a folder that can't be used, for whatever reason the system gives. */
export function unusable(root: string, error: unknown): DataDirError {
  const { message, path: at = root } = error as NodeJS.ErrnoException;
  const hint = isAccessError(error) ? ownerHint(at) : '';
  return new DataDirError(`can't use DATA_DIR ${root}: ${message}${hint}`);
}

export class DataDir {
  readonly root: string;
  /** Folder of the log's segments. */
  readonly logFolder: string;
  /** Folder of the checkpoints. */
  readonly checkpointFolder: string;
  readonly guard: FolderGuard;
  /** For the threads. */
  readonly held: HeldFolder;
  #locks: FolderLock[] = [];
  /** Descriptors of all folders that were ever held: threads may be using them. */
  readonly #descriptors: number[] = [];
  #open: { readonly descriptor: number; readonly identity: string }[] = [];

  private constructor(root: string) {
    this.root = root;
    this.logFolder = join(root, LOG_FOLDER);
    this.checkpointFolder = join(root, CHECKPOINT_FOLDER);
    const guard = FolderGuard.create();
    this.guard = new FolderGuard(guard);
    this.held = { root, log: this.logFolder, checkpoint: this.checkpointFolder, guard };
  }

  /** Makes the folder if need be and acquires it, with the lock of `lockRoot` if that was taken before. Throws DataDirError. */
  static open(path: string, rootLock?: FolderLock): DataDir {
    const root = resolve(path);
    const dataDir = new DataDir(root);
    if (rootLock !== undefined) dataDir.#locks.push(rootLock);
    try {
      dataDir.acquire();
    } catch (error) {
      dataDir.close();
      throw error instanceof DataDirError ? error : unusable(root, error);
    }
    return dataDir;
  }

  /** Makes what is missing of the folder and acquires it, also again when it was removed. */
  acquire(): void {
    const { root, logFolder, checkpointFolder } = this;
    makeDurably(new NodeFileSystem(), root);
    checkAccess([root, logFolder, checkpointFolder, ...lockPaths(root, logFolder)]);
    const locks = this.#locks;
    this.#locks = [];
    try {
      this.#lockAll(locks);
    } finally {
      for (const lock of locks) if (!this.#locks.includes(lock)) lock.release();
    }
    this.#hold(HELD_ROOT, root);
    this.#hold(HELD_LOG, this.logFolder);
    this.#hold(HELD_CHECKPOINT, this.checkpointFolder);
  }

  /**
   * Takes the locks whose files were removed or replaced; returns their paths. Throws FolderHeldError
   * when another process was faster; when the folder goes away meanwhile, another error, and can be
   * called again.
   */
  lockAgain(): string[] {
    const gone = this.#locks.filter((lock) => !lock.isThere);
    const locks = this.#locks;
    if (gone.length === 0) return [];
    this.#locks = [];
    try {
      this.#lockAll(locks);
    } catch (error) {
      for (const lock of this.#locks) if (!locks.includes(lock)) lock.release();
      this.#locks = locks;
      throw error;
    }
    for (const lock of gone) lock.release();
    return gone.map(({ path }) => path);
  }

  /** Where the folder and its two parts stand, the worst first met; what the system says, if it can't be found out. */
  state(): { readonly state: FolderState; readonly path: string } {
    for (const [index, path] of [this.root, this.logFolder, this.checkpointFolder].entries()) {
      const open = this.#open[index];
      const identity = identityOf(path);
      if (open === undefined || identity === open.identity) continue;
      const isEmpty = identity === undefined || isUnused(path);
      // The root is moved with what is in it; a part that is moved away is missing where it belongs.
      const isMoved = index === HELD_ROOT && fstatSync(open.descriptor).nlink > 0;
      const hasLog =
        isMoved && identityOf(heldPath(this.held, join(this.root, LOG_FOLDER))) !== undefined;
      return { state: hasLog || !isEmpty ? 'elsewhere' : 'removed', path };
    }
    return { state: 'there', path: this.root };
  }

  /** Lets go of it. */
  close(): void {
    for (const lock of this.#locks) lock.release();
    for (const index of [HELD_ROOT, HELD_LOG, HELD_CHECKPOINT] as const) this.guard.hold(index, 0);
    for (const descriptor of this.#descriptors) closeSync(descriptor);
    this.#locks = [];
    this.#descriptors.length = 0;
  }

  /** Takes all locks but those of `before` that hold still. */
  #lockAll(before: readonly FolderLock[]): void {
    const { root, logFolder } = this;
    for (const path of lockPaths(root, logFolder)) {
      const still = before.find((lock) => lock.path === path && lock.isThere);
      this.#locks.push(still ?? takeLock(root, path));
    }
    writeHolder(root);
  }

  #hold(index: HeldIndex, path: string): void {
    if (this.#open[index]?.identity === identityOf(path)) return;
    const descriptor = openSync(path, 'r');
    this.#descriptors.push(descriptor);
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    this.#open[index] = { descriptor, identity: `${dev}:${ino}` };
    this.guard.hold(index, canGoByDescriptor(descriptor) ? descriptor : 0);
  }
}

/**
 * Makes the folder if need be and takes the first of its locks, for what has to be done in it before it is opened.
 * Throws DataDirError.
 */
export function lockRoot(dataDir: string): FolderLock {
  const root = resolve(dataDir);
  try {
    new NodeFileSystem().makeFolder(root);
    const path = join(root, LOCK_NAME);
    checkAccess([root, path]);
    const lock = takeLock(root, path);
    writeHolder(root);
    return lock;
  } catch (error) {
    throw error instanceof DataDirError ? error : unusable(root, error);
  }
}

/** SQLite says no more than that a file can't be opened. */
function checkAccess(paths: readonly string[]): void {
  for (const path of paths) {
    if (existsSync(path)) accessSync(path, constants.R_OK | constants.W_OK);
  }
}

function takeLock(root: string, path: string): FolderLock {
  try {
    return new FolderLock(path);
  } catch (error) {
    if (!isHeldByOther(error)) {
      throw new DataDirError(`can't lock DATA_DIR ${root}: ${path}: ${(error as Error).message}`);
    }
    throw new FolderHeldError(`DATA_DIR ${root} is held by ${readHolder(join(root, HOLDER_NAME))}`);
  }
}

function writeHolder(root: string): void {
  writeFileSync(join(root, HOLDER_NAME), `${JSON.stringify(holderNow())}\n`);
}

/** Whether the folder has nothing of a data folder in it. */
function isUnused(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch {
    return false;
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

/** This process, as it says to others who it is. */
export function holderNow(): {
  readonly pid: number;
  readonly host: string;
  readonly started: string;
} {
  const started = new Date(performance.timeOrigin).toISOString();
  return { pid: process.pid, host: hostname(), started };
}

/** Who wrote the holder's file at `path`, in words. */
export function readHolder(path: string): string {
  try {
    return holderText(readFileSync(path, 'utf8'));
  } catch {
    return holderText('');
  }
}

/** What a holder says of itself, in words. */
export function holderText(json: string): string {
  try {
    const { pid, host, started } = JSON.parse(json);
    return `process ${pid} on ${host}, started ${started}`;
  } catch {
    return 'another process';
  }
}
