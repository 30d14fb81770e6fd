/**
 * Watches the free space of the disk under the data folder, so that writes stop being taken while
 * there is still room to stop cleanly. Main thread; asks the file system about once a second.
 */
import { statfs } from 'node:fs/promises';

const LOOK_EVERY_MS = 1000;
/** Room must be this much above the reserve before writes are taken again. */
const AGAIN_SHARE = 1.1;

export interface DiskWatchOptions {
  readonly folder: string;
  /** Free bytes that must be left; 0 = do not watch. */
  readonly reserveBytes: number;
  /** Notified when room runs out and when there is enough again. */
  readonly onRoom: (enough: boolean, freeBytes: number) => void;
  /** Free bytes of the file system that holds a folder; tests put their own here. */
  readonly freeBytes?: (folder: string) => Promise<number>;
}

export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #timer: NodeJS.Timeout | undefined;
  #enough = true;
  #looking = false;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    if (options.reserveBytes === 0) return;
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
    void this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks once; a look that is still under way is not doubled. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const { folder, reserveBytes, onRoom, freeBytes = freeBytesOf } = this.#options;
      const free = await freeBytes(folder);
      const enough = free >= (this.#enough ? reserveBytes : reserveBytes * AGAIN_SHARE);
      if (enough === this.#enough) return;
      this.#enough = enough;
      onRoom(enough, free);
    } catch {
      // A disk that can't even be asked will fail the log, which reports it.
    } finally {
      this.#looking = false;
    }
  }
}

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
