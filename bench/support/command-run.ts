/**
 * A command of the command line, run to its end as a process of its own, with what it took: wall clock and
 * the most memory that it had. Main thread of the bench.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { START_ENV } from './start-env.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const LOOK_MS = 50;

export interface CommandTaken {
  readonly seconds: number;
  /** The most it had in memory, MB; NaN where /proc doesn't say. */
  readonly memoryMb: number;
  readonly stdout: string;
}

/** Done, but lines were refused. */
const EXIT_PARTIAL = 3;

/** Runs it; throws if it is not done. */
export async function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<CommandTaken> {
  const startMs = performance.now();
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...START_ENV, ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  let memoryMb = Number.NaN;
  const look = setInterval(() => {
    memoryMb = peakMb(child.pid) ?? memoryMb;
  }, LOOK_MS);
  const [code] = await once(child, 'close');
  const seconds = (performance.now() - startMs) / 1000;
  clearInterval(look);
  process.off('exit', kill);
  if (code !== 0 && code !== EXIT_PARTIAL)
    throw new Error(`${args.join(' ')} ended with ${code}: ${stdout}${stderr}`);
  return { seconds, memoryMb, stdout };
}

function peakMb(pid: number | undefined): number | undefined {
  try {
    const text = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return text === undefined ? undefined : Number(text) / 1024;
  } catch {
    return undefined;
  }
}
