/**
 * A second hold on the data folder that no file carries: an abstract Unix socket named after the
 * folder's device and inode (Linux). The kernel gives it up with the process, and nobody can remove it:
 * so a second service is refused on this host, whatever became of the lock files, also in the second
 * that the first one needs to take them again. It counts within a network namespace: between containers
 * the locks alone do. Whoever connects learns who holds it. Main thread.
 *
 * The story of a second start while the locks' files are removed: it makes new ones, locks them, finds
 * the name taken, lets go of the locks and ends. The first one then takes the files that it finds.
 */
import { statSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { within } from '../deadline.ts';
import { FolderHeldError, holderNow, holderText } from '../log/data-dir.ts';

/** How long a holder that is busy may take to say who it is. */
const ANSWER_MS_MAX = 1000;

export class FolderClaim {
  #server: Server | undefined;
  #name = '';

  /** Claims the folder that is at `root` now. Rejects with FolderHeldError if another process has. */
  async acquire(root: string): Promise<void> {
    if (process.platform !== 'linux') return;
    const { dev, ino } = statSync(root, { bigint: true });
    const name = `\0product-service/${dev}:${ino}`;
    if (name === this.#name) return;
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(JSON.stringify(holderNow()));
    });
    try {
      await listening(server, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return;
      throw new FolderHeldError(`DATA_DIR ${root} is held by ${holderText(await answerOf(name))}`);
    }
    this.release();
    this.#server = server;
    this.#name = name;
  }

  release(): void {
    this.#server?.close();
    this.#server = undefined;
    this.#name = '';
  }
}

function listening(server: Server, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(name, () => {
      server.unref();
      resolve();
    });
  });
}

/** What the holder says of itself; empty if it doesn't. */
async function answerOf(name: string): Promise<string> {
  const socket = connect(name);
  try {
    const answer = await within(ANSWER_MS_MAX, text(socket));
    return typeof answer === 'string' ? answer : '';
  } catch {
    return '';
  } finally {
    socket.destroy();
  }
}
