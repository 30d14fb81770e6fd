/**
 * A proxy before a service that counts batches, and refuses, holds or breaks them where the test wants it.
 * Everything else it passes on. Tests only.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

/** What happens to the batch with this number, from 1: `pass`, an answer, nothing at all, or a cut after it was taken. */
export type Fate =
  | 'pass'
  | 'hold'
  | 'lose-answer'
  | { readonly status: number; readonly retryAfter?: string };

export class BatchProxy {
  readonly keys: string[] = [];
  readonly times: number[] = [];
  fate: (batch: number) => Fate = () => 'pass';
  #batches = 0;
  #port = 0;

  static async start(t: Test, port: number): Promise<BatchProxy> {
    const proxy = new BatchProxy();
    const server = createServer((incoming, response) => proxy.#handle(port, incoming, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy.#port = (server.address() as AddressInfo).port;
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  #handle(port: number, incoming: IncomingMessage, response: ServerResponse): void {
    const isBatch = incoming.method === 'POST';
    const fate = isBatch ? this.fate(++this.#batches) : 'pass';
    if (isBatch) {
      this.keys.push(String(incoming.headers['idempotency-key']));
      this.times.push(performance.now());
    }
    if (fate === 'hold') {
      incoming.resume();
      return;
    }
    if (typeof fate === 'object') {
      incoming.resume().on('end', () => {
        const { status, retryAfter } = fate;
        response.writeHead(status, retryAfter === undefined ? {} : { 'retry-after': retryAfter });
        response.end();
      });
      return;
    }
    const { method, url: path, headers } = incoming;
    const call = request({ port, host: '127.0.0.1', method, path, headers }, (answer) => {
      if (fate === 'lose-answer') {
        answer.resume().on('end', () => incoming.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    call.on('error', () => incoming.socket.destroy());
    incoming.pipe(call);
  }
}
