/** Debian's NATS server with JetStream, alone or as a cluster, each in a folder of its own. Tests only. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import type { Test } from 'tap';
import { polled } from '../bounded.ts';
import { freePort } from '../clients/proxy.ts';
import { tempDir } from '../disks/temp-dir.ts';
import { ServerProcess } from './server-process.ts';

const PROGRAM = '/usr/sbin/nats-server';
const READY_MS_MAX = 60_000;

interface Login {
  readonly user: string;
  readonly pass: string;
}

export interface NatsServers {
  readonly servers: readonly ServerProcess[];
  /** All of them, for NATS_URL. */
  readonly url: string;
  /** Copies what the servers, which are down, have stored; what is returned puts it back. */
  copy(): () => void;
}

/** Starts `count` servers, with `login` ones that ask for it; resolves when JetStream answers. */
export async function startNats(t: Test, count = 1, login?: Login): Promise<NatsServers> {
  const ports: number[] = [];
  for (let i = 0; i < count * 2; i++) ports.push(await freePort());
  const clientPorts = ports.slice(0, count);
  const routes = ports.slice(count).map((port) => `nats://127.0.0.1:${port}`);
  const root = tempDir(t);
  const servers = clientPorts.map((port, i) => {
    const folder = join(root, `n${i}`);
    mkdirSync(folder);
    const clustered = [
      ...['--cluster_name', 'test', '--cluster', routes[i] ?? '', '--routes', routes.join(',')],
    ];
    return new ServerProcess(t, {
      port,
      program: PROGRAM,
      args: [
        ...['--addr', '127.0.0.1', '--port', String(port), '--name', `n${i}`],
        ...['--jetstream', '--store_dir', folder],
        ...(count === 1 ? [] : clustered),
        ...(login === undefined ? [] : ['--user', login.user, '--pass', login.pass]),
      ],
      isReady: () => answers(port, login),
    });
  });
  await Promise.all(servers.map((server) => server.start()));
  const first = login === undefined ? '' : `${login.user}:${encodeURIComponent(login.pass)}@`;
  const url = clientPorts.map((port) => `nats://${first}127.0.0.1:${port}`).join(',');
  await polled(() => hasJetStream(clientPorts, login), READY_MS_MAX, 'JetStream to answer');
  const copy = () => {
    const kept = join(tempDir(t), 'kept');
    cpSync(root, kept, { recursive: true });
    return () => {
      rmSync(root, { recursive: true });
      cpSync(kept, root, { recursive: true });
    };
  };
  return { servers, url, copy };
}

async function answers(port: number, login: Login | undefined): Promise<boolean> {
  try {
    const connection = await connect({ servers: `127.0.0.1:${port}`, reconnect: false, ...login });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

async function hasJetStream(
  ports: readonly number[],
  login: Login | undefined,
): Promise<true | undefined> {
  const servers = ports.map((port) => `127.0.0.1:${port}`);
  const connection = await connect({ servers, reconnect: false, ...login });
  try {
    const answer = await connection.request('$JS.API.INFO', '', { timeout: 1000 });
    return (answer.json() as { error?: unknown }).error === undefined ? true : undefined;
  } catch {
    return undefined;
  } finally {
    await connection.close();
  }
}
