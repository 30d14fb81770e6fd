/** The history's part of a backup. Main thread of a tool. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HISTORY_FILE } from '../history/sqlite/history-schema.ts';
import type { NodeFileSystem } from '../log/file-system.ts';
import { Database } from '../sqlite/database.ts';

/** Longer than any transaction of a service. */
const BUSY_MS = 30_000;

/**
 * Copies the history of the data folder `root` to the folder `to`, as it is at one moment, also while its
 * service writes it; nothing if there is none. Before the log is copied: so the copy's log has every event
 * that the copied history has, and what it lacks. Throws what SQLite or the file system say.
 */
export function copyHistory(root: string, to: string, files: NodeFileSystem): void {
  const from = join(root, HISTORY_FILE);
  if (!existsSync(from)) return;
  files.makeFolder(to);
  const path = join(to, HISTORY_FILE);
  const database = new Database({ path: from, busyMs: BUSY_MS, flush: 'normal', isReadOnly: true });
  try {
    database.copyTo(path);
  } finally {
    database.close();
  }
  const copy = files.open(path);
  try {
    files.syncData(copy);
  } finally {
    files.close(copy);
  }
}
