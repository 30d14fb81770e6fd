/**
 * A folder that a tool fills and that gets its name only when it is whole. Until then it stands beside
 * the target, as `TARGET.partial-PID-RANDOM/data`, with a lock that ends with the process, however that
 * ends. So what a killed tool left can be distinguished from what another one is working on, also between
 * containers, and the next tool that writes to the same place removes it. Main thread of a tool.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { NodeFileSystem } from '../log/file-system.ts';

const NAME = /\.partial-\d+-[0-9a-f]{8}$/;
const LOCK = 'lock';
const DATA = 'data';

export class PartialFolder {
  /** Where the data goes; not made yet. */
  readonly data: string;
  readonly #target: string;
  readonly #path: string;
  readonly #lock: DatabaseSync;

  /** Makes one for the folder `target`. Throws what the file system throws. */
  constructor(target: string) {
    this.#target = target;
    this.#path = `${target}.partial-${process.pid}-${randomBytes(4).toString('hex')}`;
    this.data = join(this.#path, DATA);
    new NodeFileSystem().makeFolder(this.#path);
    try {
      this.#lock = locked(join(this.#path, LOCK));
    } catch (error) {
      rmSync(this.#path, { recursive: true, force: true });
      throw error;
    }
  }

  /** Removes the data, for another try. */
  empty(): void {
    rmSync(this.data, { recursive: true, force: true });
  }

  /** Gives the data, which is flushed, its name, durably. */
  publish(): void {
    renameSync(this.data, this.#target);
    new NodeFileSystem().syncFolder(dirname(this.#target));
    this.discard();
  }

  /** Removes all that is left. */
  discard(): void {
    this.empty();
    rmSync(this.#path, { recursive: true, force: true });
    this.#lock.close();
  }
}

/** Removes what killed tools left beside `target`; returns the paths. Never throws. */
export function removeAbandoned(target: string): string[] {
  const folder = dirname(target);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .filter((name) => NAME.test(name))
    .map((name) => join(folder, name))
    .filter(removedIfAbandoned);
}

function removedIfAbandoned(path: string): boolean {
  let lock: DatabaseSync | undefined;
  try {
    const names = readdirSync(path);
    // Nothing but what a tool makes; the lock is made first and removed last.
    if (!names.includes(LOCK) || names.some((name) => name !== LOCK && name !== DATA)) return false;
    lock = locked(join(path, LOCK));
    rmSync(join(path, DATA), { recursive: true, force: true });
    rmSync(path, { recursive: true });
    return true;
  } catch {
    // Somebody works on it, or it can't be removed: it does no harm.
    return false;
  } finally {
    lock?.close();
  }
}

function locked(path: string): DatabaseSync {
  const lock = new DatabaseSync(path);
  try {
    lock.exec('PRAGMA journal_mode = MEMORY; PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}
