/**
 * The locks that hold a data folder for one process. Main thread.
 *
 * Each is the exclusive lock of an SQLite file, because Node has no file locks of its own and SQLite
 * (built into Node) takes the kernel's: it ends with the process, however that ends, and it can't be
 * confused by a reused process id or by containers that share the volume. A lock belongs to the file
 * and not to its name: who removes the file by hand ("it says that it is held …") lets a second service
 * lock a fresh one. So there are two, in two folders, and the running service looks after them
 * (folder-keeper.ts) and takes again what was removed. Never open these files in any other way in this
 * process: closing any descriptor of a file drops the process's locks on it.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export const LOCK_NAME = 'lock';

/** Where the locks of the data folder `root` are, its log in `logFolder`. */
export function lockPaths(root: string, logFolder: string): string[] {
  return [join(root, LOCK_NAME), join(logFolder, LOCK_NAME)];
}

/** Whether an error of SQLite says that another process holds the lock. */
export function isHeldByOther(error: unknown): boolean {
  return error instanceof Error && /locked|busy/.test(error.message);
}

/** One lock, held. */
export class FolderLock {
  readonly path: string;
  readonly #lock: DatabaseSync;
  readonly #identity: string | undefined;

  /** Takes it; throws what SQLite says when it can't (see isHeldByOther). */
  constructor(path: string) {
    this.path = path;
    this.#lock = new DatabaseSync(path);
    try {
      // Not 0: `verify` looks at the lock for a moment, and that must not refuse a start.
      this.#lock.exec('PRAGMA journal_mode = MEMORY; PRAGMA busy_timeout = 100; BEGIN EXCLUSIVE');
    } catch (error) {
      this.#lock.close();
      throw error;
    }
    this.#identity = identityOf(path);
  }

  /** Whether the file is still the one that is locked. */
  get isThere(): boolean {
    return this.#identity !== undefined && identityOf(this.path) === this.#identity;
  }

  release(): void {
    this.#lock.close();
  }
}

/** Device and inode of what is at `path`; `undefined` = nothing is. Throws if that can't be found out. */
export function identityOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}
