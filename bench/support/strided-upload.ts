/**
 * Sends the events of strided-load.ts as batches of any length, made while they are sent, and knows what
 * must have come of them. Main thread of the bench.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventLines, firstEventOf, stateAfter } from './strided-load.ts';

const LINES_PER_BLOCK = 5000;

export class StridedUpload {
  readonly #products: number;
  #sent = 0;

  constructor(products: number) {
    this.#products = products;
  }

  /** Events that were acknowledged. */
  get sent(): number {
    return this.#sent;
  }

  /** Sends the next `events` and resolves when all of them are durable. */
  async send(url: string, events: number): Promise<void> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname).setNoDelay();
    await once(socket, 'connect');
    const answer = answered(socket);
    // Its failure is thrown below; it must not be one that nobody handles before that.
    answer.catch(() => undefined);
    socket.write(
      `POST /api/v1/events/batch?on_error=continue HTTP/1.1\r\nhost: ${hostname}\r\n` +
        'content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    for (let done = 0; done < events; done += LINES_PER_BLOCK) {
      const count = Math.min(LINES_PER_BLOCK, events - done);
      const block = eventLines(this.#products, this.#sent + done, count);
      const chunk = `${Buffer.byteLength(block).toString(16)}\r\n${block}\r\n`;
      if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), answer]);
    }
    socket.write('0\r\n\r\n');
    const accepted = await answer;
    socket.destroy();
    if (accepted !== events) throw new Error(`${accepted} of ${events} events were taken`);
    this.#sent += events;
  }

  /** What `sample` must be after the events sent, and those in `unknown` that may have come too. */
  allowed(product: number, unknown: number): string[] {
    const products = this.#products;
    const allowed: string[] = [];
    for (let e = firstEventOf(product, products); e < this.#sent + unknown; e += products) {
      if (e + products < this.#sent) continue;
      allowed.push(stateAfter(e, product));
    }
    return allowed;
  }
}

/** How many events the answer on `socket` says were taken. */
async function answered(socket: Socket): Promise<number> {
  let text = '';
  for await (const chunk of socket.setEncoding('latin1')) {
    text += chunk;
    const head = text.indexOf('\r\n\r\n');
    const length = Number(/^content-length: (\d+)/im.exec(text)?.[1]);
    if (head < 0 || text.length < head + 4 + length) continue;
    const { accepted, rejected } = JSON.parse(text.slice(head + 4));
    if (rejected !== 0) throw new Error(`events were rejected: ${text}`);
    return accepted;
  }
  throw new Error(`the connection ended after ${JSON.stringify(text)}`);
}
