/**
 * Opens standard output or standard error so that writing there never waits for a reader. Main thread.
 *
 *  - A pipe or a socket: libuv makes it non-blocking, as it does for every Node program that touches
 *    `process.stdout`, and puts it back at the exit. (Opening /dev/fd/1 anew would leave the other
 *    holders' descriptor alone, but that is refused for sockets and for another user's pipe.)
 *  - A terminal: opened anew, because people and shells go on using theirs. Ctrl-S stops it.
 *  - A file, /dev/null and the like: as it is. Writes there fail or succeed, but don't wait; a file on
 *    a network file system that hangs is the exception that no flag helps against.
 */
import { constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';

export interface StandardStream {
  /** For `writeSync`, which says EAGAIN where it would have to wait. */
  readonly fd: number;
  /** Kept only so that it is not collected, which would close the descriptor. */
  readonly held?: Socket;
}

/** Opens descriptor 1 or 2. Never throws: where none of it can be had, the descriptor is taken as it is. */
export function openStandardStream(fd: 1 | 2): StandardStream {
  try {
    if (isatty(fd)) {
      const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
      return { fd: openSync(`/dev/fd/${fd}`, flags) };
    }
    const stat = fstatSync(fd);
    if (!stat.isFIFO() && !stat.isSocket()) return { fd };
    return { fd, held: new Socket({ fd, readable: false, writable: true }).unref() };
  } catch {
    return { fd };
  }
}

/** Whether both are the same file, pipe or terminal (`2>&1`). */
export function isSameStream(a: number, b: number): boolean {
  try {
    const [first, second] = [fstatSync(a), fstatSync(b)];
    return first.dev === second.dev && first.ino === second.ino;
  } catch {
    return false;
  }
}
