/** A small file of DATA_DIR/sinks, replaced as a whole. Main thread. */
import type { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { SINKS_FOLDER } from '../log/data-dir.ts';
import type { FileSystem } from '../log/file-system.ts';
import { replaceFile } from '../log/replaced-file.ts';

/** Makes the folder too, where it was removed meanwhile. Throws what the file system throws. */
export function replaceSinksFile(
  files: FileSystem,
  root: string,
  name: string,
  bytes: Buffer,
): void {
  const folder = join(root, SINKS_FOLDER);
  files.makeFolder(folder);
  replaceFile(files, folder, name, bytes);
  files.syncFolder(root);
}
