/** A server that is no module of this project, for a bench: a program that listens on PORT. Runs in the bench's process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const LOOK_MS = 20;
const START_MS_MAX = 20_000;

export interface ForeignServer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts `program` and resolves when it takes connections. */
export async function startForeign(
  program: string,
  env: Readonly<Record<string, string>>,
): Promise<ForeignServer> {
  const port = await freePort();
  const child = spawn(program, {
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: 'ignore',
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program} can't be started`);
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const untilMs = performance.now() + START_MS_MAX;
  while (!(await isListening(port))) {
    if (performance.now() > untilMs) throw new Error(`${program} does not listen on PORT`);
    await pause(LOOK_MS);
  }
  const stop = async () => {
    process.off('exit', kill);
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  };
  return { url: `http://127.0.0.1:${port}`, pid, stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
