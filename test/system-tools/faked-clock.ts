/**
 * A wall clock that a test sets, for a real process: Debian's libfaketime, which reads the offset from a
 * file at each call. The clock that only counts on stays the machine's, so timers and waits do as
 * always. Tests only.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LIBRARY = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketimeMT.so.1`;

export class FakedClock {
  /** Environment of the process whose clock it is. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  /** `folder` is for its file. */
  constructor(folder: string) {
    this.#file = join(folder, 'faketime');
    this.set(0);
    this.env = {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** From now on it goes `seconds` before the machine's (behind it, if negative). */
  set(seconds: number): void {
    writeFileSync(this.#file, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}\n`);
  }
}
