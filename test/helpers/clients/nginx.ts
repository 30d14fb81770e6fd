/** A real nginx before the service, on a free port of its own; it never outlives the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import { bounded } from '../bounded.ts';
import { tempDir } from '../disks/temp-dir.ts';
import { freePort } from '../servers/free-port.ts';

const NGINX = '/usr/sbin/nginx';
const START_MS_MAX = 30_000;
const LOOK_EVERY_MS = 20;

/** Starts nginx with `server`, the lines inside its `server` block; returns the port it listens on. */
export async function startNginx(t: Test, server: string): Promise<number> {
  const folder = tempDir(t);
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; pid ${folder}/pid; error_log stderr; worker_processes 1; ${
      process.getuid?.() === 0 ? 'user root;' : ''
    }
     events {}
     http {
       access_log off;
       ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
         .map((name) => `${name}_temp_path ${folder}/${name};`)
         .join(' ')}
       server { listen 127.0.0.1:${port}; ${server} }
     }`,
  );
  const child = spawn(NGINX, ['-p', folder, '-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  t.teardown(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  await bounded(listens(child, port), START_MS_MAX, `nginx to listen: ${said}`);
  return port;
}

/** Asks until somebody listens; nginx has no other word for it. */
async function listens(child: ChildProcess, port: number): Promise<void> {
  while (!(await takesConnections(port))) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
    await pause(LOOK_EVERY_MS);
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
