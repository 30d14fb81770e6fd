/** Debian's PostgreSQL, as a user of its own: it refuses to run as root. Tests only. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Test } from 'tap';
import { tempDir } from '../disks/temp-dir.ts';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';

const VERSIONS = '/usr/lib/postgresql';

export interface PostgresServer {
  readonly process: ServerProcess;
  /** Of the database `postgres`. */
  readonly url: string;
  /** One query on a connection of its own. */
  query(sql: string, values?: readonly unknown[]): Promise<pg.QueryResult>;
}

/** Makes a cluster and starts it. It flushes as in production unless `fsync` is off. */
export async function startPostgres(
  t: Test,
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const version =
    readdirSync(VERSIONS)
      .sort((a, b) => Number(a) - Number(b))
      .at(-1) ?? '';
  const programs = join(VERSIONS, version, 'bin');
  const user = process.getuid?.() === 0 ? userOf('postgres') : undefined;
  const folder = tempDir(t);
  const data = join(folder, 'data');
  mkdirSync(data);
  if (user !== undefined) {
    chownSync(folder, user.uid, user.gid);
    chownSync(data, user.uid, user.gid);
  }
  execFileSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'],
    { stdio: ['ignore', 'ignore', 'inherit'], cwd: '/', ...user },
  );
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const query = async (sql: string, values: readonly unknown[] = []) => {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 60_000 });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await client.query(sql, [...values]);
    } finally {
      await client.end().catch(() => undefined);
    }
  };
  const options = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings };
  const server = new ServerProcess(t, {
    port,
    program: join(programs, 'postgres'),
    args: [
      ...['-D', data, '-p', String(port)],
      ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    user,
    isReady: () =>
      query('SELECT 1').then(
        () => true,
        () => false,
      ),
  });
  await server.start();
  return { process: server, url, query };
}

function userOf(name: string): { readonly uid: number; readonly gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
