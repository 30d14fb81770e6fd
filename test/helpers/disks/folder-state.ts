/** What lies in a folder, byte for byte and with its times, to see that nothing touched it. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** A line for each file and folder. */
export function folderState(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { mtimeMs, size } = statSync(path);
      const hash = entry.isFile()
        ? createHash('sha256').update(readFileSync(path)).digest('hex')
        : '';
      return `${relative(root, path)} ${size} ${mtimeMs} ${hash}`;
    })
    .sort();
}
