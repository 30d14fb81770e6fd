/**
 * How large the files in a folder are, asked of the disk now and then and never waited for long: a disk
 * that hangs must not keep anybody from the other figures. Main thread.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { within } from '../deadline.ts';

/** How long an answer is waited for; after that the one before holds. */
const WAIT_MS_MAX = 200;

export interface FolderSize {
  readonly files: number;
  readonly bytes: number;
}

export class FolderSizes {
  /** The folder may be called otherwise each time it is asked. */
  readonly #folder: () => string;
  readonly #counts: (name: string) => boolean;
  #known: FolderSize = { files: 0, bytes: 0 };
  #asking: Promise<void> | undefined;

  /** `counts`: which files do; all, unless given. */
  constructor(folder: () => string, counts: (name: string) => boolean = () => true) {
    this.#folder = folder;
    this.#counts = counts;
  }

  /** As of now, or as it was when the disk last answered. Files of folders within count, too. */
  async look(): Promise<FolderSize> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    await within(WAIT_MS_MAX, this.#asking);
    return this.#known;
  }

  async #ask(): Promise<void> {
    try {
      const folder = this.#folder();
      let files = 0;
      let bytes = 0;
      for (const name of await readdir(folder, { recursive: true })) {
        if (!this.#counts(name)) continue;
        const file = await stat(join(folder, name)).catch(() => undefined);
        // Removed since, or a folder.
        if (file?.isFile() !== true) continue;
        files++;
        bytes += file.size;
      }
      this.#known = { files, bytes };
    } catch {
      // A disk that can't be asked fails the log, which reports it.
    }
  }
}
