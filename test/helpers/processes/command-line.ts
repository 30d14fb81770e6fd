/** The command line as a process of its own, run to its end at a service's port. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { bounded } from '../bounded.ts';

export const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const END_MS_MAX = 120_000;

export interface CommandRun {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd: string;
  readonly port?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: Uint8Array | string;
}

/** A command that runs; `end` has what it printed. */
export interface RunningCommand {
  readonly pid: number;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly end: Promise<CommandRun>;
  /** What it has printed by now. */
  readonly printed: () => { readonly stdout: string; readonly stderr: string };
}

/** The environment of a command: nothing of the test's but where Node and its cache are. */
export function commandEnv({ port, env }: Pick<CommandOptions, 'port' | 'env'>) {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  return {
    PATH,
    ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }),
    ...(port === undefined ? {} : { PRODUCT_SERVICE_URL: `http://127.0.0.1:${port}` }),
    ...env,
  };
}

export function startCommand(
  t: Test,
  args: readonly string[],
  options: CommandOptions,
): RunningCommand {
  // `env -i` and not only `spawn`'s own `env`: tap adds to that.
  const pairs = Object.entries(commandEnv(options)).map(([name, value]) => `${name}=${value}`);
  const child = spawn('/usr/bin/env', ['-i', ...pairs, process.execPath, MAIN, ...args], {
    cwd: options.cwd,
    stdio: 'pipe',
  });
  t.teardown(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A command may end before it has read everything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const end = new Promise<CommandRun>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return {
    pid: child.pid ?? -1,
    kill: (signal) => void child.kill(signal),
    end: bounded(end, END_MS_MAX, args.join(' ')),
    printed: () => ({ stdout, stderr }),
  };
}

export function runCommandLine(
  t: Test,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandRun> {
  return startCommand(t, args, options).end;
}
