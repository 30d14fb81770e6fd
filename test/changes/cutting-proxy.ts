/**
 * A proxy on one port that cuts connections off, for clients that reconnect by themselves: how many bytes
 * of an answer each connection gives is the test's to say. Shortens what the service asks clients to
 * wait before they come back to 5 ms. Tests only.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import type { Test } from 'tap';

export interface CuttingProxyOptions {
  /** Where connections go to. */
  readonly target: number;
  /** Bytes that the next connection lets through before it is cut; by default it never is. */
  readonly bytes?: () => number;
}

export class CuttingProxy {
  /** Changed by a test whose service moves. */
  target: number;
  bytes: () => number;
  cuts = 0;
  readonly #server: Server;
  readonly #open = new Set<() => void>();

  private constructor({ target, bytes = () => Number.POSITIVE_INFINITY }: CuttingProxyOptions) {
    this.target = target;
    this.bytes = bytes;
    this.#server = createServer((client) => {
      const service = connect(this.target, '127.0.0.1');
      const end = () => {
        this.#open.delete(end);
        client.destroy();
        service.destroy();
      };
      this.#open.add(end);
      client.on('error', end).on('close', end);
      service.on('error', end).on('close', end);
      client.pipe(service);
      let left = this.bytes();
      service.on('data', (chunk) => {
        // The same length, so that chunks stay right.
        const text = chunk.toString('latin1').replace(/\nretry: \d000\n/, '\nretry: 0005\n');
        const bytes = Buffer.from(text, 'latin1');
        if (bytes.length < left) {
          left -= bytes.length;
          client.write(bytes);
          return;
        }
        this.cuts++;
        service.removeAllListeners('data');
        client.end(bytes.subarray(0, left), end);
      });
    });
  }

  static async start(t: Test, options: CuttingProxyOptions): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(options);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    t.teardown(() => proxy.#server.close());
    return proxy;
  }

  /** Cuts off every connection that is open. */
  drop(): void {
    for (const end of [...this.#open]) end();
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/api/v1/changes`;
  }
}
