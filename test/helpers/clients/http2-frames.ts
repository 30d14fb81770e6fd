/** A client that sends frames of HTTP/2 one by one, as no library would. Tests only. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';

export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export class Http2Frames {
  readonly socket: TLSSocket;
  /** Resolves when the connection is closed, however that came. */
  readonly closed: Promise<unknown>;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('error', () => undefined).resume();
    this.closed = new Promise((resolve) => socket.once('close', resolve));
  }

  /** Connects to the service on `port` and sends preface and empty settings. `allowHalfOpen`: it never ends its half. */
  static async open(t: Test, port: number, allowHalfOpen = false): Promise<Http2Frames> {
    const name = { host: '127.0.0.1', servername: 'localhost' };
    const options = { ...name, ALPNProtocols: ['h2'], allowHalfOpen };
    const socket = connect({ ...options, port, rejectUnauthorized: false });
    t.teardown(() => socket.destroy());
    await once(socket, 'secureConnect');
    const frames = new Http2Frames(socket);
    socket.write(PREFACE);
    frames.send(FRAME.settings, 0, 0);
    return frames;
  }

  send(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): void {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    this.socket.write(Buffer.concat([head, payload]));
  }
}

/** A header block of literal fields, none of them longer than 126 bytes. */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const texts = (text: string) => [Buffer.from([text.length]), Buffer.from(text)];
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [
      Buffer.from([0]),
      ...texts(name),
      ...texts(value),
    ]),
  );
}

/** Those of a request. */
export function requestBlock(method: string, path: string, rest: Readonly<Record<string, string>>) {
  return headerBlock({
    ':method': method,
    ':path': path,
    ':scheme': 'https',
    ':authority': 'localhost',
    ...rest,
  });
}
