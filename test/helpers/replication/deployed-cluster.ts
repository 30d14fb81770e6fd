/**
 * The cluster of deploy/compose/cluster.yml as processes of this machine: its NATS servers, its instances and HAProxy,
 * each with the files and the environment that it has there; only names, ports and folders are others. Tests only.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import { readCompose, servicesOf } from '../../docker/compose-file.ts';
import { polled } from '../bounded.ts';
import { ask } from '../clients/ask.ts';
import { startProxy } from '../clients/proxy.ts';
import { tempDir } from '../disks/temp-dir.ts';
import { runCommandLine } from '../processes/command-line.ts';
import { ServiceProcess } from '../processes/service-process.ts';
import { freePort } from '../servers/free-port.ts';
import { NATS_SERVER } from '../servers/nats-server.ts';
import { ServerProcess } from '../servers/server-process.ts';
import { claims, SECRET, secretToken } from '../tokens.ts';

const WAIT_MS_MAX = 120_000;
const PASSWORD = 'of-nats';
/** Much smaller than there, so that three stores find room on a small machine. */
const MORE = { MAX_MEMORY_USAGE: '64MB', HOST: '127.0.0.1', ADMIN_HOST: '127.0.0.1' };

const compose = readCompose('deploy/compose/cluster.yml');
const NATS = servicesOf(compose, 'nats');
const INSTANCES = servicesOf(compose, 'product-service');

/** Addresses as they stand in the files, and what they are on this machine. */
type Places = ReadonlyMap<string, string>;

function placed(text: string, places: Places): string {
  let result = text;
  for (const [there, here] of places) result = result.replaceAll(there, here);
  return result;
}

function fileOf(config: string): string {
  const { file } = compose.configs?.[config] ?? { file: '' };
  return readFileSync(join(dirname(compose.path), file), 'utf8');
}

export class DeployedCluster {
  /** HAProxy's, where clients come in. */
  readonly port: number;
  /** Of a client that may read and write. */
  readonly token: string;
  readonly nats: ReadonlyMap<string, ServerProcess>;
  readonly instances = new Map<string, ServiceProcess>();
  /** Where each instance listens. */
  readonly ports: ReadonlyMap<string, number>;
  readonly #t: Test;
  readonly #root: string;

  private constructor(
    t: Test,
    root: string,
    port: number,
    token: string,
    nats: ReadonlyMap<string, ServerProcess>,
    ports: ReadonlyMap<string, number>,
  ) {
    this.#t = t;
    this.#root = root;
    this.port = port;
    this.token = token;
    this.nats = nats;
    this.ports = ports;
  }

  static async start(t: Test): Promise<DeployedCluster> {
    const root = tempDir(t);
    const token = await secretToken(claims({ roles: ['reader', 'writer'] }));
    const places = new Map<string, string>();
    for (const name of NATS) {
      for (const port of ['4222', '6222']) {
        places.set(`${name}:${port}`, `127.0.0.1:${await freePort()}`);
      }
    }
    const ports = new Map<string, number>();
    for (const name of INSTANCES) {
      const port = await freePort();
      ports.set(name, port);
      places.set(`${name}:8080`, `127.0.0.1:${port}`);
    }
    writeSecrets(root, places);
    const nats = new Map<string, ServerProcess>();
    for (const name of NATS) nats.set(name, await natsServer(t, join(root, name), name, places));
    await Promise.all([...nats.values()].map((server) => server.start()));
    const port = await freePort();
    const cluster = new DeployedCluster(t, root, port, token, nats, ports);
    await cluster.#init();
    await Promise.all(INSTANCES.map((name) => cluster.startInstance(name)));
    const file = join(root, 'haproxy.cfg');
    const configured = placed(fileOf('haproxy'), places);
    writeFileSync(file, configured.replace('bind :8000', `bind 127.0.0.1:${port}`));
    await startProxy(t, '/usr/sbin/haproxy', ['-db', '-f', file], port);
    await polled(() => isOk(port, '/livez'), WAIT_MS_MAX, 'HAProxy to have found the instances');
    return cluster;
  }

  /** Starts the instance of this name, also again; resolves when it takes writes. */
  async startInstance(name: string): Promise<void> {
    const cwd = join(this.#root, name);
    mkdirSync(cwd, { recursive: true });
    const port = this.ports.get(name) ?? 0;
    const env = { ...this.#environment(name), PORT: String(port), ADMIN_PORT: '0' };
    const process = await ServiceProcess.start(this.#t, { cwd, env });
    this.instances.set(name, process);
    await polled(() => isOk(port, '/readyz'), WAIT_MS_MAX, `${name} to take writes`);
  }

  /** The server that leads the stream. */
  async leader(): Promise<ServerProcess> {
    const done = await runCommandLine(this.#t, ['cluster', 'status'], {
      cwd: this.#root,
      env: this.#environment(INSTANCES[0] ?? ''),
    });
    if (done.code !== 0) throw new Error(`cluster status: ${done.stderr}`);
    const { leader } = (JSON.parse(done.stdout) as { stream: { leader: string } }).stream;
    const server = this.nats.get(leader);
    if (server === undefined) throw new Error(`${leader} leads the stream`);
    return server;
  }

  get authorization(): { readonly authorization: string } {
    return { authorization: `Bearer ${this.token}` };
  }

  async #init(): Promise<void> {
    const { init } = compose.services;
    const args = (init?.command ?? []).slice(2);
    const env = this.#environment(INSTANCES[0] ?? '');
    // The servers may still be electing who leads them.
    await polled(
      async () => {
        const done = await runCommandLine(this.#t, args, { cwd: this.#root, env });
        if (done.code === 0) return true;
        if (!/JetStream|timeout|leads|no responders/i.test(done.stderr)) {
          throw new Error(`cluster init: ${done.stderr}`);
        }
        return undefined;
      },
      WAIT_MS_MAX,
      'the cluster to begin',
    );
  }

  #environment(name: string): Record<string, string> {
    const { environment } = compose.services[name] ?? { environment: {} };
    const there = Object.entries(environment).map(([variable, value]) => [
      variable,
      value.replace('/run/secrets', this.#root),
    ]);
    return { ...Object.fromEntries(there), ...MORE, DATA_DIR: join(this.#root, name, 'data') };
  }
}

/** Whoever breaks the connection is not there yet. */
function isOk(port: number, path: string): Promise<true | undefined> {
  return ask(port, path).then(
    ({ status }) => (status === 200 ? true : undefined),
    () => undefined,
  );
}

function writeSecrets(root: string, places: Places): void {
  writeFileSync(join(root, 'jwt_secret'), SECRET);
  const addresses = NATS.map((name, i) => {
    const login = i === 0 ? `product-service:${PASSWORD}@` : '';
    return `nats://${login}${places.get(`${name}:4222`)}`;
  });
  writeFileSync(join(root, 'nats_url'), `${addresses.join()}\n`);
}

async function natsServer(
  t: Test,
  folder: string,
  name: string,
  places: Places,
): Promise<ServerProcess> {
  mkdirSync(folder);
  const monitor = await freePort();
  const [, port = ''] = places.get(`${name}:4222`)?.split(':') ?? [];
  const own = new Map([
    ['listen: 0.0.0.0:4222', `listen: 127.0.0.1:${port}`],
    ['listen: 0.0.0.0:6222', `listen: ${places.get(`${name}:6222`)}`],
    ['0.0.0.0:8222', `127.0.0.1:${monitor}`],
    ['store_dir: /data', `store_dir: ${join(folder, 'data')}`],
  ]);
  const file = join(folder, 'nats.conf');
  writeFileSync(file, placed(placed(fileOf('nats'), own), places));
  writeFileSync(join(folder, 'password.conf'), `password: "${PASSWORD}"\n`);
  const check = JSON.stringify(compose.services[name]?.healthcheck?.test);
  const path = /127\.0\.0\.1:8222(\/[^"]*)/.exec(check)?.[1] ?? '/no-health-check';
  return new ServerProcess(t, {
    port: Number(port),
    program: NATS_SERVER,
    args: ['--config', file],
    env: compose.services[name]?.environment ?? {},
    isReady: () =>
      ask(monitor, path).then(
        ({ status }) => status === 200,
        () => false,
      ),
  });
}
