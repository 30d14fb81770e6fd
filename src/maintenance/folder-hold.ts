/**
 * Whether a running service holds a data folder, asked through the same lock (log/data-dir.ts) but
 * without writing: works on read-only folders too. Main thread of a tool.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HOLDER_NAME, LOCK_NAME, readHolder } from '../log/data-dir.ts';

/** A shared hold: no service can start on the folder until it is released. */
export interface SharedHold {
  /** Who runs on the folder, in words, as it wrote it down; `undefined` = nobody. */
  readonly heldBy: string | undefined;
  release(): void;
}

/** Takes a shared hold, if nobody runs on the folder. Never waits. */
export function holdForReading(root: string): SharedHold {
  const path = join(root, LOCK_NAME);
  // No service ever ran here (a backup, a repaired folder), so there is nothing to hold either.
  if (!existsSync(path)) return { heldBy: undefined, release: () => undefined };
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path, { readOnly: true });
    lock.exec('PRAGMA busy_timeout = 0; BEGIN');
    lock.prepare('SELECT count(*) FROM sqlite_master').get();
    const held = lock;
    return { heldBy: undefined, release: () => held.close() };
  } catch (error) {
    lock?.close();
    const { message } = error as Error;
    if (!/locked|busy/.test(message)) {
      throw new Error(`can't tell whether a service runs on ${root}: ${path}: ${message}`);
    }
    return { heldBy: readHolder(join(root, HOLDER_NAME)), release: () => undefined };
  }
}

/** Who runs on the folder now, in words; `undefined` = nobody. */
export function holderOf(root: string): string | undefined {
  const hold = holdForReading(root);
  hold.release();
  return hold.heldBy;
}
