/** Debian's Redis, alone or as a cluster of several, each in a folder of its own. Tests only. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '@redis/client';
import type { Test } from 'tap';
import { polled } from '../bounded.ts';
import { tempDir } from '../disks/temp-dir.ts';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';

const PROGRAM = '/usr/bin/redis-server';
const SLOTS = 16_384;
/** Members of a cluster talk to each other on a port of their own, so far above. */
const BUS_AHEAD = 10_000;
const JOIN_MS_MAX = 60_000;

export interface RedisServer {
  readonly process: ServerProcess;
  readonly url: string;
  /** One command on a connection of its own. */
  command(...words: readonly string[]): Promise<unknown>;
}

/** Starts one that keeps what it has over a kill, unless `settings` say otherwise. */
export async function startRedis(
  t: Test,
  settings: Readonly<Record<string, string>> = {},
): Promise<RedisServer> {
  const folder = join(tempDir(t), 'redis');
  mkdirSync(folder);
  const port = await freePort('cluster-enabled' in settings ? [BUS_AHEAD] : []);
  const url = `redis://127.0.0.1:${port}`;
  const command = async (...words: readonly string[]) => {
    const socket = { reconnectStrategy: false as const, connectTimeout: 60_000 };
    const client = createClient({ url, socket });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await client.sendCommand([...words]);
    } finally {
      client.destroy();
    }
  };
  const options = {
    dir: folder,
    bind: '127.0.0.1',
    save: '',
    appendonly: 'yes',
    appendfsync: 'always',
    ...settings,
  };
  const server = new ServerProcess(t, {
    port,
    program: PROGRAM,
    args: [
      ...['--port', String(port)],
      ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
    ],
    isReady: () =>
      command('PING').then(
        () => true,
        () => false,
      ),
  });
  await server.start();
  return { process: server, url, command };
}

/** Starts a cluster of `masters`, which share the slots evenly. */
export async function startRedisCluster(t: Test, masters: number): Promise<readonly RedisServer[]> {
  const nodes = await Promise.all(
    Array.from({ length: masters }, () =>
      startRedis(t, { 'cluster-enabled': 'yes', 'cluster-config-file': 'nodes.conf' }),
    ),
  );
  const [first] = nodes;
  for (const [index, node] of nodes.entries()) {
    const from = Math.floor((index * SLOTS) / masters);
    const to = Math.floor(((index + 1) * SLOTS) / masters) - 1;
    await node.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    await node.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
  }
  for (const node of nodes.slice(1)) {
    await first?.command('CLUSTER', 'MEET', '127.0.0.1', String(node.process.port));
  }
  for (const node of nodes) {
    const isWhole = async () => {
      const info = String(await node.command('CLUSTER', 'INFO'));
      const knows = info.includes(`cluster_known_nodes:${masters}`);
      return info.includes('cluster_state:ok') && knows ? true : undefined;
    };
    await polled(isWhole, JOIN_MS_MAX, 'the cluster to be whole');
  }
  return nodes;
}
