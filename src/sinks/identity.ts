/**
 * The data folder's own name, as sinks know it: DATA_DIR/sinks/identity, 32 hexadecimal digits drawn when a
 * sink is first named. A sink that has another one's products is not written to: their seqs mean nothing
 * here. Of which state of the folder they are, timeline.ts tells. A backup does not have it, because what is
 * restored from one may go on otherwise. Main thread.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SINKS_FOLDER } from '../log/data-dir.ts';
import type { FileSystem } from '../log/file-system.ts';
import { replaceSinksFile } from './sinks-file.ts';

const NAME = 'identity';

/** Reads it, or draws it and makes it durable. Throws what the file system throws, and if it is damaged. */
export function dataFolderIdentity(files: FileSystem, root: string): string {
  const folder = join(root, SINKS_FOLDER);
  const path = join(folder, NAME);
  files.makeFolder(folder);
  if (files.list(folder).includes(NAME)) {
    const text = readFileSync(path, 'latin1').trim();
    if (/^[0-9a-f]{32}$/.test(text)) return text;
    throw new Error(`${path} is damaged; without it the sinks are filled anew (docs/sinks.md)`);
  }
  const identity = randomBytes(16).toString('hex');
  writeIdentity(files, root, identity);
  return identity;
}

/** Whether it was drawn: before that nothing of the folder's is in any sink. */
export function hasIdentity(files: FileSystem, root: string): boolean {
  const folder = join(root, SINKS_FOLDER);
  return files.list(root).includes(SINKS_FOLDER) && files.list(folder).includes(NAME);
}

/** Writes it again, where the folder was removed meanwhile. */
export function writeIdentity(files: FileSystem, root: string, identity: string): void {
  replaceSinksFile(files, root, NAME, Buffer.from(`${identity}\n`, 'latin1'));
}
