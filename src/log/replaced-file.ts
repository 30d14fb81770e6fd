/** A small file that is there whole, as it was or as it is now, also after a power loss. Any thread. */
import { join } from 'node:path';
import { type FileSystem, writeFully } from './file-system.ts';

/** Of what a crash leaves behind a file's name; the next time it is written over. */
export const TEMPORARY_ENDING = '.tmp';

/** Puts `bytes` into the file `name` of the folder. Throws what the file system throws; the one before is still there then. */
export function replaceFile(files: FileSystem, folder: string, name: string, bytes: Buffer): void {
  const path = join(folder, name);
  const file = files.create(path + TEMPORARY_ENDING);
  try {
    writeFully(files, file, bytes, 0, bytes.length, 0);
    files.syncData(file);
  } finally {
    files.close(file);
  }
  files.rename(path + TEMPORARY_ENDING, path);
  files.syncFolder(folder);
}
