/** NATS servers with JetStream of the bench's own, on free loopback ports, ended by its process. Main thread of the bench. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';

const START_MS_MAX = 60_000;
const POLL_MS = 20;

/** What `nats-server --version` says, or `undefined` where it is not installed. */
export function natsVersion(): string | undefined {
  const { status, stdout } = spawnSync('nats-server', ['--version'], { encoding: 'utf8' });
  return status === 0 ? /v([\d.]+)/.exec(stdout)?.[1] : undefined;
}

class NatsServer {
  readonly name: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(name: string, args: readonly string[]) {
    this.name = name;
    this.#args = args;
  }

  start(): void {
    const child = spawn('nats-server', this.#args, { stdio: 'ignore' });
    const kill = () => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    this.#child = child;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }
}

export class NatsProcesses {
  /** For NATS_URL. */
  readonly url: string;
  readonly servers: readonly NatsServer[];

  private constructor(url: string, servers: readonly NatsServer[]) {
    this.url = url;
    this.servers = servers;
  }

  /** Starts `count` servers, a cluster if they are several, with folders below `folder`; resolves when JetStream answers. */
  static async start(folder: string, count: number): Promise<NatsProcesses> {
    const ports: number[] = [];
    for (let i = 0; i < count * 2; i++) ports.push(await freePort());
    const clients = ports.slice(0, count);
    const routes = ports.slice(count).map((port) => `nats://127.0.0.1:${port}`);
    const servers = clients.map((port, i) => {
      const store = join(folder, `nats-${count}-${i}`);
      mkdirSync(store, { recursive: true });
      const clustered = [
        ...['--cluster_name', 'bench', '--cluster', routes[i] ?? '', '--routes', routes.join()],
      ];
      return new NatsServer(`n${i}`, [
        ...['--addr', '127.0.0.1', '--port', String(port), '--name', `n${i}`],
        ...['--jetstream', '--store_dir', store],
        ...(count === 1 ? [] : clustered),
      ]);
    });
    for (const server of servers) server.start();
    const nats = new NatsProcesses(
      clients.map((port) => `nats://127.0.0.1:${port}`).join(),
      servers,
    );
    await nats.ready();
    return nats;
  }

  /** Resolves when JetStream answers. */
  async ready(): Promise<void> {
    const deadlineMs = performance.now() + START_MS_MAX;
    while (!(await this.#hasJetStream())) {
      if (performance.now() > deadlineMs) throw new Error('JetStream does not answer');
      await pause(POLL_MS);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
  }

  async #hasJetStream(): Promise<boolean> {
    try {
      const connection = await connect({ servers: this.url.split(','), reconnect: false });
      try {
        const answer = await connection.request('$JS.API.INFO', '', { timeout: 1000 });
        return !answer.string().includes('"error"');
      } finally {
        await connection.close();
      }
    } catch {
      return false;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
