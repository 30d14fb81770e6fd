/** A real proxy before the service, on a free port of its own; it never outlives the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Test } from 'tap';
import { bounded } from '../bounded.ts';

const START_MS_MAX = 60_000;
const LOOK_EVERY_MS = 20;

/** Runs `program` in the foreground until the test ends; resolves once somebody listens on `port`. */
export async function startProxy(
  t: Test,
  program: string,
  args: readonly string[],
  port: number,
): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  t.teardown(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  await bounded(
    listens(child, port, () => said),
    START_MS_MAX,
    `${program} to listen`,
  );
}

/** Asks until somebody listens; proxies have no other word for it. */
async function listens(child: ChildProcess, port: number, said: () => string): Promise<void> {
  while (!(await takesConnections(port))) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${said()}`);
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
