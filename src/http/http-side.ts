/**
 * The HTTP side of a service, in one piece: the app with its server, one more for administration where that
 * is apart, listening, and the end of their connections. Main thread; `service.ts` says when.
 *
 * All that HTTP is made of is loaded by `load`, after the log thread was started, so that it reads
 * the log meanwhile; this file itself brings in next to nothing.
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { AppDeps } from './app.ts';
import { ConnectionDrain } from './connection/drain.ts';
import type { LoadedTls } from './connection/tls-files.ts';

/** Where it listens. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** Whether others may listen there as well, who share the connections. */
  readonly reusePort?: boolean;
}

interface Listener {
  readonly app: FastifyInstance;
  readonly drain: ConnectionDrain;
}

export class HttpSide {
  readonly #main: Listener;
  /** Only where administration has a listener of its own. */
  readonly #admin: Listener | undefined;

  private constructor(main: FastifyInstance, admin: FastifyInstance | undefined) {
    this.#main = listenerOf(main);
    this.#admin = admin === undefined ? undefined : listenerOf(admin);
  }

  /**
   * Loads and builds it, with `deps` that are loaded behind it; rejects with what modules or options
   * say, and leaves nothing. `apart`: administration gets a listener of its own; `service`: it is served
   * elsewhere.
   */
  static async load(
    deps: () => Promise<AppDeps>,
    part: 'all' | 'apart' | 'service',
  ): Promise<HttpSide> {
    const { buildApp } = await import('./app.ts');
    const loaded = await deps();
    if (part !== 'apart') return new HttpSide(buildApp(loaded, part), undefined);
    return new HttpSide(buildApp(loaded, 'service'), buildApp(loaded, 'administration'));
  }

  get server(): Server {
    return this.#main.app.server;
  }

  get port(): number {
    return addressOf(this.#main).port;
  }

  /** Where it listens, as an address. */
  get place(): Required<Pick<Place, 'host' | 'port'>> {
    const { address: host, port } = addressOf(this.#main);
    return { host, port };
  }

  /** The one of administration, if that is another. */
  get adminPort(): number | undefined {
    return this.#admin === undefined ? undefined : addressOf(this.#admin).port;
  }

  /** Rejects with what the routes or the operating system say; it must be closed then, too. */
  async listen(place: Place, admin: Place | undefined): Promise<void> {
    // First, so that whoever sees the service can ask what only operators ask.
    if (admin !== undefined) await this.#admin?.app.listen({ ...admin });
    await this.#main.app.listen({ ...place });
  }

  /** Takes another certificate for the connections to come; those that are there go on. */
  useTls({ options }: LoadedTls): void {
    for (const { app } of this.#listeners) {
      if (isOfTls(app.server)) app.server.setSecureContext(options);
    }
  }

  /** Resolves when it listens no more, in a moment; connections go on. */
  async stopListening(): Promise<void> {
    await Promise.all(this.#listeners.map(({ drain }) => drain.stopListening()));
  }

  /** Listens no more in a moment, and lets each connection end with its newest answer. */
  beginDrain(): void {
    for (const { drain } of this.#listeners) void drain.beginDrain();
  }

  /**
   * Resolves when no connection is left, to whether all ended by themselves; those that are left
   * after `timeoutMs` are closed. Call after `beginDrain`, once.
   */
  async endConnections(timeoutMs: number): Promise<boolean> {
    const ends = this.#listeners.map(async ({ app, drain }) => {
      const drained = await drain.drained({ timeoutMs });
      app.server.closeAllConnections();
      return drained === 'closed';
    });
    return (await Promise.all(ends)).every((isClosed) => isClosed);
  }

  /** Answers nothing more. */
  async close(): Promise<void> {
    await Promise.all(this.#listeners.map(({ app }) => app.close()));
  }

  get #listeners(): readonly Listener[] {
    return this.#admin === undefined ? [this.#main] : [this.#main, this.#admin];
  }
}

function listenerOf(app: FastifyInstance): Listener {
  return { app, drain: new ConnectionDrain(app.server) };
}

function addressOf({ app }: Listener): AddressInfo {
  return app.server.address() as AddressInfo;
}

function isOfTls(server: object): server is Pick<TlsServer, 'setSecureContext'> {
  return 'setSecureContext' in server;
}
