/** A small file of DATA_DIR/sinks, replaced as a whole and durably: a crash leaves the old one or the new one. Main thread. */
import type { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { SINKS_FOLDER } from '../log/data-dir.ts';
import { type FileSystem, writeFully } from '../log/file-system.ts';

/** Makes the folder too, where it was removed meanwhile. Throws what the file system throws. */
export function replaceSinksFile(
  files: FileSystem,
  root: string,
  name: string,
  bytes: Buffer,
): void {
  const folder = join(root, SINKS_FOLDER);
  const temporary = join(folder, `${name}.tmp`);
  files.makeFolder(folder);
  const file = files.create(temporary);
  try {
    writeFully(files, file, bytes, 0, bytes.length, 0);
    files.syncData(file);
  } finally {
    files.close(file);
  }
  files.rename(temporary, join(folder, name));
  files.syncFolder(folder);
  files.syncFolder(root);
}
