/** A real nginx before the service, on a free port of its own; it never outlives the test. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { tempDir } from '../disks/temp-dir.ts';
import { freePort } from '../servers/free-port.ts';
import { startProxy } from './proxy.ts';

const NGINX = '/usr/sbin/nginx';

/** Starts nginx with `server`, the lines inside its `server` block; returns the port it listens on. */
export async function startNginx(t: Test, server: string): Promise<number> {
  const port = await freePort();
  await startNginxWith(t, `server { listen 127.0.0.1:${port}; ${server} }`, port);
  return port;
}

/** Starts nginx with `http`, the lines inside its `http` block, one of which listens on `port`. */
export async function startNginxWith(t: Test, http: string, port: number): Promise<void> {
  const folder = tempDir(t);
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
       ${http}
     }`,
  );
  await startProxy(t, NGINX, ['-p', folder, '-c', config], port);
}
