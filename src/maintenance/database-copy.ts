/** The databases of a data folder on their way into a copy of it. Main thread of a tool. */
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HISTORY_FILE } from '../history/sqlite/history-schema.ts';
import { LETTERS_FILE } from '../log/data-dir.ts';
import type { NodeFileSystem } from '../log/file-system.ts';
import { DATABASE_ENDINGS, Database } from '../sqlite/database.ts';

/** What the log does not have, or not for ever; in the data folder. */
export const DATABASES: readonly string[] = [HISTORY_FILE, LETTERS_FILE];

/** Longer than any transaction of a service. */
const BUSY_MS = 30_000;

/**
 * Copies the database `name` of the data folder `root` to the folder `to`, as it is at one moment, also while its
 * service writes it; nothing if there is none. Before the log is copied: so the copy's log has every event
 * that the copied database knows of, and what it lacks. Throws what SQLite or the file system say.
 */
export function copyDatabase(root: string, to: string, name: string, files: NodeFileSystem): void {
  const from = join(root, name);
  if (!existsSync(from)) return;
  const path = join(to, name);
  files.makeFolder(dirname(path));
  const database = new Database({ path: from, busyMs: BUSY_MS, flush: 'normal', isReadOnly: true });
  try {
    database.copyTo(path);
  } finally {
    database.close();
  }
  flush(files, path);
}

/**
 * The same of a folder that nobody runs on and that may be damaged: only read, byte by byte, and checked in the copy.
 * Returns why it is not there; `undefined` = it is, or there is none.
 */
export function copyWholeDatabase(
  root: string,
  to: string,
  name: string,
  files: NodeFileSystem,
): string | undefined {
  const path = join(to, name);
  try {
    for (const ending of DATABASE_ENDINGS) {
      if (ending === '-shm' || !existsSync(join(root, name + ending))) continue;
      files.makeFolder(dirname(path));
      copyFileSync(join(root, name + ending), path + ending);
    }
    if (!existsSync(path)) return undefined;
    checkWhole(path);
    flush(files, path);
    return undefined;
  } catch (error) {
    for (const ending of DATABASE_ENDINGS) rmSync(path + ending, { force: true });
    return error instanceof Error ? error.message : String(error);
  }
}

/** Also writes its write-ahead log into the file. Throws what is wrong with it. */
function checkWhole(path: string): void {
  const database = new Database({ path, busyMs: BUSY_MS, flush: 'normal' });
  try {
    const fault = database.fault();
    if (fault !== undefined) throw new Error(fault);
  } finally {
    database.close();
  }
}

function flush(files: NodeFileSystem, path: string): void {
  const copy = files.open(path);
  try {
    files.syncData(copy);
  } finally {
    files.close(copy);
  }
  files.syncFolder(dirname(path));
}
