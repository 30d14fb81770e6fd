/** One TCP connection on which a test sends bytes as they are, and sees how it ends. */
import { connect, type Socket } from 'node:net';
import type { Test } from 'tap';
import { bounded } from '../bounded.ts';

const WAIT_MS_MAX = 60_000;

export class RawConnection {
  /** Everything received so far. */
  text = '';
  /** Resolves when the connection is closed, however that came. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #watchers: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk;
      this.#wake();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve();
        this.#wake();
      });
    });
  }

  /** Connects to the service on `port`; closed when the test is done. */
  static async open(t: Test, port: number): Promise<RawConnection> {
    const socket = connect(port, '127.0.0.1');
    const connection = new RawConnection(socket);
    t.teardown(() => socket.destroy());
    await bounded(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve).once('error', reject);
      }),
      WAIT_MS_MAX,
      'a connection',
    );
    return connection;
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  /** Waits until the text received matches. */
  received(pattern: RegExp): Promise<void> {
    const found = new Promise<void>((resolve, reject) => {
      const look = () => {
        if (pattern.test(this.text)) resolve();
        else if (this.#socket.closed)
          reject(new Error(`closed after ${JSON.stringify(this.text)}`));
        else this.#watchers.push(look);
      };
      look();
    });
    return bounded(found, WAIT_MS_MAX, `${pattern} in what is received`);
  }

  /** Waits until the connection is closed. */
  end(): Promise<void> {
    return bounded(this.closed, WAIT_MS_MAX, 'the connection to be closed');
  }

  #wake(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }
}

/** The head of an event's request whose body, of `bytes` bytes, the service says it waits for. */
export function eventHead(bytes: number, more = 'expect: 100-continue\r\n'): string {
  return (
    'POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n' +
    `content-length: ${bytes}\r\n${more}\r\n`
  );
}
