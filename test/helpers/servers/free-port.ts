/**
 * Ports for servers that are told one before they start, and keep it over a restart. None is from where the kernel
 * takes ports for connections and for whoever asks for any; and the tests, which run beside each other, tell each
 * other with abstract sockets which are given away: those end with their process, however that ends. Linux.
 */
import { readFileSync } from 'node:fs';
import { createServer, type ListenOptions, type Server } from 'node:net';

const FIRST_PORT = 10_000;
const LAST_PORT = 32_767;
const KERNELS_RANGE = '/proc/sys/net/ipv4/ip_local_port_range';
const TRIES_MAX = 1000;

/** One that nobody else is given while this process runs; `aheads` are added to it, and are its owner's as well. */
export async function freePort(aheads: readonly number[] = []): Promise<number> {
  const count = lastPort() - FIRST_PORT + 1 - Math.max(0, ...aheads);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = FIRST_PORT + Math.floor(Math.random() * count);
    const ports = [port, ...aheads.map((ahead) => port + ahead)];
    if ((await Promise.all(ports.map(isGiven))).every(Boolean)) return port;
  }
  throw new Error(`no port from ${FIRST_PORT} to ${lastPort()} is free`);
}

/** Where the kernel takes all of them, it is a matter of luck. */
function lastPort(): number {
  const first = Number.parseInt(readFileSync(KERNELS_RANGE, 'utf8'), 10);
  return first > 2 * FIRST_PORT ? Math.min(LAST_PORT, first - 1) : LAST_PORT;
}

/** Whether it is this process's from now on. */
async function isGiven(port: number): Promise<boolean> {
  const reservation = await listening({ path: `\0product-service-test-port-${port}` });
  if (reservation === undefined) return false;
  reservation.unref();
  const server = await listening({ port, host: '127.0.0.1' });
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** `undefined` = another one listens there. */
function listening(at: ListenOptions): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(at, () => resolve(server));
  });
}
