/**
 * A PostgreSQL of the bench's own (Debian's), on a free loopback port in a folder of its own, flushing as in
 * production; ended by its process. Main thread of the bench.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';

const VERSIONS = '/usr/lib/postgresql';
const START_MS_MAX = 60_000;
const POLL_MS = 50;

/** The newest one that is installed, or `undefined`. */
export function postgresVersion(): string | undefined {
  if (!existsSync(VERSIONS)) return undefined;
  return readdirSync(VERSIONS)
    .sort((a, b) => Number(a) - Number(b))
    .at(-1);
}

export class PostgresProcess {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, url: string, folder: string) {
    this.#child = child;
    this.url = url;
    this.#folder = folder;
  }

  static async start(version: string): Promise<PostgresProcess> {
    // Not below the checkout, which another user may not be able to read.
    const folder = mkdtempSync(join(tmpdir(), 'product-service-bench-'));
    const data = join(folder, 'data');
    mkdirSync(data);
    const user = process.getuid?.() === 0 ? ids() : undefined;
    if (user !== undefined) for (const path of [folder, data]) chownSync(path, user.uid, user.gid);
    const programs = join(VERSIONS, version, 'bin');
    const options = { cwd: '/', ...user };
    execFileSync(
      join(programs, 'initdb'),
      ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8'],
      { stdio: 'ignore', ...options },
    );
    const port = await freePort();
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    const child = spawn(
      join(programs, 'postgres'),
      [
        ...['-D', data, '-p', String(port)],
        ...[
          '-c',
          'listen_addresses=127.0.0.1',
          '-c',
          'unix_socket_directories=',
          '-c',
          'max_wal_size=4GB',
        ],
      ],
      { stdio: 'ignore', ...options },
    );
    process.once('exit', () => child.kill('SIGINT'));
    const server = new PostgresProcess(child, url, folder);
    const deadlineMs = performance.now() + START_MS_MAX;
    while (
      !(await server.query('SELECT 1').then(
        () => true,
        () => false,
      ))
    ) {
      if (performance.now() > deadlineMs) throw new Error('PostgreSQL does not answer');
      await setTimeout(POLL_MS);
    }
    return server;
  }

  async query(sql: string): Promise<readonly Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGINT');
    await exit;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function ids(): { readonly uid: number; readonly gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
