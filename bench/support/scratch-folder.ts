/**
 * A folder for one bench run, removed at its end. It lies under bench/scratch of this checkout and
 * not under the system's temporary folder, which is memory on many machines: flushes must reach
 * the disk that a DATA_DIR beside it would use.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../scratch/', import.meta.url));

/** Runs `work` with the path of a fresh, empty folder below `root`. */
export async function withScratchFolder<T>(
  work: (folder: string) => Promise<T>,
  root = ROOT,
): Promise<T> {
  mkdirSync(root, { recursive: true });
  const folder = mkdtempSync(join(root, 'run-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    return await work(folder);
  } finally {
    process.off('exit', remove);
    remove();
  }
}
