/**
 * A real pipe for a child's standard output: read when the test wants to, filled up so that not a byte
 * fits any more, or left by its reader. (Node's own `stdio: 'pipe'` is a socket, and always read.)
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { tempDir } from '../disks/temp-dir.ts';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
/** What `fill` writes: it is no line of a log. */
const FILLER = `${'x'.repeat(1023)}\n`;

export class UnreadPipe {
  /** The end for the child. It is blocking, as a shell's is. */
  readonly childEnd: number;
  readonly #reader: number;
  readonly #filler: number;
  readonly #chunk = Buffer.alloc(1 << 16);
  #isReaderOpen = true;

  constructor(t: Test) {
    const path = join(tempDir(t), 'pipe');
    execFileSync('mkfifo', [path]);
    this.#reader = openSync(path, O_RDONLY | O_NONBLOCK);
    this.childEnd = openSync(path, O_WRONLY);
    this.#filler = openSync(path, O_WRONLY | O_NONBLOCK);
    t.teardown(() => {
      this.closeReader();
      closeSync(this.childEnd);
      closeSync(this.#filler);
    });
  }

  /** Fills it to the last byte. */
  fill(): void {
    for (const text of [FILLER, '\n']) {
      for (;;) {
        try {
          writeSync(this.#filler, text);
        } catch {
          break;
        }
      }
    }
  }

  /** What is in it now, without the filler; empties it. */
  read(): string {
    let text = '';
    for (;;) {
      try {
        const bytes = readSync(this.#reader, this.#chunk);
        if (bytes === 0) break;
        text += this.#chunk.toString('latin1', 0, bytes);
      } catch {
        break;
      }
    }
    return text.replaceAll(FILLER, '').replace(/^\n+/gm, '');
  }

  /** The reader dies. */
  closeReader(): void {
    if (this.#isReaderOpen) closeSync(this.#reader);
    this.#isReaderOpen = false;
  }
}
