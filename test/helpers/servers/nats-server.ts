/** Debian's NATS server with JetStream, alone or as a cluster, each in a folder of its own. Tests only. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from '@nats-io/transport-node';
import type { Test } from 'tap';
import { polled } from '../bounded.ts';
import { tempDir } from '../disks/temp-dir.ts';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';

/** Debian's; NATS_SERVER names another one, to try its version. */
export const NATS_SERVER = process.env.NATS_SERVER ?? '/usr/sbin/nats-server';
const READY_MS_MAX = 60_000;

/** Who is let in. */
export interface NatsAccess {
  /** Lines of the servers' configuration. */
  readonly config: string;
  /** How the tests themselves get in. */
  readonly client: ConnectionOptions;
}

const OPEN: NatsAccess = { config: '', client: {} };

export interface NatsServers {
  readonly servers: readonly ServerProcess[];
  /** All of them, for NATS_URL. */
  readonly url: string;
  /** Copies what the servers, which are down, have stored; what is returned puts it back, all of it or one stream. */
  copy(): (stream?: string) => void;
}

/**
 * Starts `count` servers; resolves when JetStream answers. They tell clients of each other unless `isSilent`: then
 * those stay with the addresses that they were given.
 */
export async function startNats(
  t: Test,
  count = 1,
  { config, client }: NatsAccess = OPEN,
  isSilent = false,
): Promise<NatsServers> {
  const ports: number[] = [];
  for (let i = 0; i < count * 2; i++) ports.push(await freePort());
  const clientPorts = ports.slice(0, count);
  const routes = ports.slice(count).map((port) => `nats://127.0.0.1:${port}`);
  const root = tempDir(t);
  const configPath = join(tempDir(t), 'nats.conf');
  writeFileSync(configPath, config);
  const servers = clientPorts.map((port, i) => {
    const folder = join(root, `n${i}`);
    mkdirSync(folder);
    const clustered = [
      ...['--cluster_name', 'test', '--cluster', routes[i] ?? '', '--routes', routes.join(',')],
    ];
    return new ServerProcess(t, {
      port,
      program: NATS_SERVER,
      args: [
        ...[
          '--config',
          configPath,
          '--addr',
          '127.0.0.1',
          '--port',
          String(port),
          '--name',
          `n${i}`,
        ],
        ...['--jetstream', '--store_dir', folder],
        ...(count === 1 ? [] : clustered),
        ...(isSilent ? ['--no_advertise'] : []),
      ],
      isReady: () => answers(port, client),
    });
  });
  await Promise.all(servers.map((server) => server.start()));
  const url = clientPorts.map((port) => `nats://127.0.0.1:${port}`).join(',');
  await polled(() => hasJetStream(clientPorts, client), READY_MS_MAX, 'JetStream to answer');
  const copy = () => {
    const kept = join(tempDir(t), 'kept');
    cpSync(root, kept, { recursive: true });
    return (stream?: string) => {
      const folders =
        stream === undefined
          ? ['']
          : servers.map((_, i) => join(`n${i}`, 'jetstream', '$G', 'streams', stream));
      for (const folder of folders) {
        rmSync(join(root, folder), { recursive: true });
        cpSync(join(kept, folder), join(root, folder), { recursive: true });
      }
    };
  };
  return { servers, url, copy };
}

async function answers(port: number, client: ConnectionOptions): Promise<boolean> {
  try {
    const connection = await connect({ ...client, servers: `localhost:${port}`, reconnect: false });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

async function hasJetStream(
  ports: readonly number[],
  client: ConnectionOptions,
): Promise<true | undefined> {
  const servers = ports.map((port) => `localhost:${port}`);
  const connecting = connect({ ...client, servers, reconnect: false });
  try {
    const answer = await (await connecting).request('$JS.API.INFO', '', { timeout: 1000 });
    return (answer.json() as { error?: unknown }).error === undefined ? true : undefined;
  } catch {
    return undefined;
  } finally {
    await connecting.then(
      (connection) => connection.close(),
      () => undefined,
    );
  }
}
