/**
 * A TCP client that speaks exactly the bytes it is told. Tests only; waits on events, never sleeps.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export class RawClient {
  readonly socket: Socket;
  received = '';
  /** The error code that ended the connection, such as ECONNRESET. */
  errorCode: string | undefined;
  /** True once the server has closed its half properly. */
  ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      this.received += text;
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code;
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const client = new RawClient(socket);
    await once(socket, 'connect');
    return client;
  }

  send(text: string): void {
    this.socket.write(text);
  }

  /** Resolves once `pattern` has been received; rejects if the connection ends before. */
  until(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!pattern.test(this.received)) return;
        stop();
        resolve();
      };
      const fail = (): void => {
        stop();
        reject(new Error(`closed before ${pattern}: ${this.received}`));
      };
      const stop = (): void => {
        this.socket.off('data', look).off('end', fail).off('close', fail);
      };
      this.socket.on('data', look).on('end', fail).on('close', fail);
      look();
    });
  }

  /** Resolves with all that was received once the server has closed its half, or the connection. */
  async end(): Promise<string> {
    if (!this.ended && !this.socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.socket.once('end', resolve).once('close', () => resolve());
      });
    }
    return this.received;
  }

  /** Resolves once both halves are closed, properly or not. */
  async closed(): Promise<void> {
    if (this.socket.closed) return;
    await new Promise<void>((resolve) => {
      this.socket.once('close', () => resolve());
    });
  }

  close(): void {
    this.socket.destroy();
  }
}

export const GET_HEALTH = 'GET /health HTTP/1.1\r\nhost: a\r\n\r\n';

/** A complete POST of a valid event. */
export function postEvent(productId: string): string {
  const body = JSON.stringify({ product_id: productId, price: 1, stock: 1 });
  return [
    'POST /api/v1/events HTTP/1.1',
    'host: a',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}
