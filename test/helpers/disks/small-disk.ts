/**
 * A disk of a few megabytes that really fills up: a tmpfs of a test's own, with a filler file that
 * takes room and gives it back. Needs root; unmounted when the test is done.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { tempDir } from './temp-dir.ts';

const CHUNK_BYTES = 1 << 16;

export class SmallDisk {
  /** Where it is mounted. */
  readonly path: string;

  /** Mounts it. Throws, saying what is needed, if it may not. */
  constructor(t: Test, bytes: number) {
    const path = tempDir(t);
    this.path = path;
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
    } catch (error) {
      throw new Error(
        `can't mount a tmpfs: ${error instanceof Error ? error.message : error}; ` +
          'run the tests as root, with CAP_SYS_ADMIN in a container',
      );
    }
    // Lazily, so that it succeeds whatever is still open there.
    const unmount = () => execFileSync('umount', ['--lazy', path]);
    process.once('exit', unmount);
    t.teardown(() => {
      process.off('exit', unmount);
      unmount();
    });
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Lets the filler grow until no more than `bytes` are free. */
  leave(bytes: number): void {
    const file = openSync(join(this.path, 'filler'), 'a');
    const chunk = Buffer.alloc(CHUNK_BYTES, 1);
    for (let over = this.freeBytes - bytes; over > 0; over = this.freeBytes - bytes) {
      writeSync(file, chunk, 0, Math.min(over, CHUNK_BYTES));
    }
    closeSync(file);
  }

  /** Removes the filler. */
  free(): void {
    rmSync(join(this.path, 'filler'), { force: true });
  }
}
