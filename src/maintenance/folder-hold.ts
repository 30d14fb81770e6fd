/**
 * Whether a running service holds a data folder, asked through the same locks (log/folder-lock.ts) but
 * without writing: works on read-only folders too. Main thread of a tool.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HOLDER_NAME, LOG_FOLDER, readHolder } from '../log/data-dir.ts';
import { isHeldByOther, lockPaths } from '../log/folder-lock.ts';
import { throwIfUnreadable } from './unreadable-error.ts';

/** A shared hold: no service can start on the folder until it is released. */
export interface SharedHold {
  /** Who runs on the folder, in words, as it wrote it down; `undefined` = nobody. */
  readonly heldBy: string | undefined;
  release(): void;
}

/** Takes a shared hold, if nobody runs on the folder. Never waits. */
export function holdForReading(root: string): SharedHold {
  const locks: DatabaseSync[] = [];
  const release = () => {
    for (const lock of locks) lock.close();
  };
  // Where no service ever ran (a backup, a repaired folder) there is nothing to hold.
  for (const path of lockPaths(root, join(root, LOG_FOLDER)).filter(existsSync)) {
    try {
      accessSync(path, constants.R_OK);
      const lock = new DatabaseSync(path, { readOnly: true });
      locks.push(lock);
      lock.exec('PRAGMA busy_timeout = 0; BEGIN');
      lock.prepare('SELECT count(*) FROM sqlite_master').get();
    } catch (error) {
      release();
      if (isHeldByOther(error)) {
        return { heldBy: readHolder(join(root, HOLDER_NAME)), release: () => undefined };
      }
      throwIfUnreadable(error, path);
      const { message } = error as Error;
      throw new Error(`can't tell whether a service runs on ${root}: ${path}: ${message}`);
    }
  }
  return { heldBy: undefined, release };
}

/** Who runs on the folder now, in words; `undefined` = nobody. */
export function holderOf(root: string): string | undefined {
  const hold = holdForReading(root);
  hold.release();
  return hold.heldBy;
}
