/**
 * The way from one instance to servers, of NATS or a database, which a test can make slow, let stand still or cut. TCP,
 * bytes as they come. Tests only.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';

export class ServerLink {
  /** For the instance, instead of the servers' own. */
  readonly url: string;
  readonly #servers: readonly Server[];
  readonly #sockets = new Set<Socket>();
  #delayMs = 0;
  #isCut = false;
  #isStill = false;
  #isDeaf = false;

  private constructor(url: string, servers: readonly Server[]) {
    this.url = url;
    this.#servers = servers;
  }

  /** Opens one to the servers of `url`, addresses with commas between. */
  static async start(t: Test, url: string): Promise<ServerLink> {
    const servers: Server[] = [];
    const addresses: string[] = [];
    let link: ServerLink | undefined;
    for (const address of url.split(',')) {
      const inner = new URL(address);
      const { hostname, port } = inner;
      const server = createServer((socket) => link?.join(socket, hostname, Number(port)));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      servers.push(server);
      inner.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      addresses.push(inner.href);
    }
    link = new ServerLink(addresses.join(), servers);
    const { end } = link;
    t.teardown(end);
    return link;
  }

  /** Every byte comes so much later, each way. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** Connections break, and none can be made. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Connections stay, and nothing comes through. */
  stand(): void {
    this.#isStill = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Servers are told everything, and what they answer is lost. */
  loseAnswers(): void {
    this.#isDeaf = true;
  }

  /** As it was in the beginning, but for what was lost. */
  heal(): void {
    this.#delayMs = 0;
    this.#isCut = false;
    this.#isStill = false;
    this.#isDeaf = false;
    for (const socket of this.#sockets) socket.resume();
  }

  readonly end = (): void => {
    this.cut();
    for (const server of this.#servers) server.close();
  };

  join(inner: Socket, host: string, port: number): void {
    if (this.#isCut) {
      inner.destroy();
      return;
    }
    const outer = connect(port, host);
    this.#pipe(inner, outer, () => false);
    this.#pipe(outer, inner, () => this.#isDeaf);
  }

  #pipe(from: Socket, to: Socket, isLost: () => boolean): void {
    let dueMs = 0;
    this.#sockets.add(from);
    from.setNoDelay();
    from.on('error', () => undefined);
    from.once('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    from.on('data', (bytes) => {
      if (isLost()) return;
      // Never before what came earlier, though that was slower.
      dueMs = Math.max(dueMs, performance.now() + this.#delayMs);
      const ms = dueMs - performance.now();
      if (ms <= 0) to.write(bytes);
      else setTimeout(() => to.destroyed || to.write(bytes), ms);
    });
    if (this.#isStill) from.pause();
  }
}
