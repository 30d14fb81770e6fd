/**
 * The HTTP side of a service, in one piece: the app with its server, listening, and the end of its
 * connections. Main thread; `service.ts` says when.
 *
 * All that HTTP is made of is loaded by `load`, after the log thread was started, so that it reads
 * the log meanwhile; this file itself brings in next to nothing.
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { AppDeps } from './app.ts';
import { ConnectionDrain } from './connection/drain.ts';

export class HttpSide {
  readonly #app: FastifyInstance;
  readonly #drain: ConnectionDrain;

  private constructor(app: FastifyInstance) {
    this.#app = app;
    this.#drain = new ConnectionDrain(app.server);
  }

  /**
   * Loads and builds it, with `deps` that are loaded behind it; rejects with what modules or options
   * say, and leaves nothing.
   */
  static async load(deps: () => Promise<AppDeps>): Promise<HttpSide> {
    const { buildApp } = await import('./app.ts');
    return new HttpSide(buildApp(await deps()));
  }

  get server(): Server {
    return this.#app.server;
  }

  get port(): number {
    return (this.#app.server.address() as AddressInfo).port;
  }

  /** Rejects with what the routes or the operating system say; it must be closed then, too. */
  async listen(host: string, port: number): Promise<void> {
    await this.#app.listen({ host, port });
  }

  /** Listens no more in a moment, and lets each connection end with its newest answer. */
  beginDrain(): void {
    void this.#drain.beginDrain();
  }

  /**
   * Resolves when no connection is left, to whether all ended by themselves; those that are left
   * after `timeoutMs` are closed. Call after `beginDrain`, once.
   */
  async endConnections(timeoutMs: number): Promise<boolean> {
    const drained = await this.#drain.drained({ timeoutMs });
    this.#app.server.closeAllConnections();
    return drained === 'closed';
  }

  /** Answers nothing more. */
  async close(): Promise<void> {
    await this.#app.close();
  }
}
