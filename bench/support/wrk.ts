/** HTTP load with wrk (Debian's), which costs less CPU than any client in Node. Runs in the bench's process. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('wrk-load.lua', import.meta.url));

export interface WrkLoad {
  readonly url: string;
  readonly method: 'POST' | 'GET';
  readonly products: number;
  /** Which values are written: see `productValue`. */
  readonly edition: number;
  readonly token: string | undefined;
  readonly connections: number;
  readonly seconds: number;
  /** The core that wrk stays on; any, unless given. */
  readonly core?: number;
}

export interface WrkResult {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Whether it is installed. */
export function hasWrk(): boolean {
  return isThere('wrk');
}

/** Whether wrk and what it loads can be kept apart. */
export function hasCores(): boolean {
  return isThere('taskset') && availableParallelism() > 1;
}

function isThere(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** Keeps a server, with all threads that it has and will have, on one core. */
export function keepOnCore(pid: number, core: number): void {
  const pinned = spawnSync('taskset', ['-a', '-p', '-c', String(core), String(pid)]);
  if (pinned.status !== 0) throw new Error(`taskset: ${pinned.stderr}`);
}

/**
 * The same GET again and again, without a script, which costs wrk next to nothing. Throws unless every answer
 * was a 2xx.
 */
export async function sendPlainGets(
  url: string,
  connections: number,
  seconds: number,
): Promise<WrkResult> {
  const options = ['--threads=1', `--connections=${connections}`, `--duration=${seconds}s`];
  const output = await outputOf('wrk', [...options, '--latency', url]);
  const faults = /^ *(?:Socket errors|Non-2xx).*$/m.exec(output)?.[0];
  if (faults !== undefined) throw new Error(`${url}: ${faults.trim()}`);
  const requestsPerSecond = Number(/^Requests\/sec: +([\d.]+)/m.exec(output)?.[1]);
  const [p50Ms, p99Ms] = ['50', '99'].map((share) => {
    const [, value, unit] = new RegExp(`^ +${share}% +([\\d.]+)(us|ms|s)`, 'm').exec(output) ?? [];
    return Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit ?? ''] ?? Number.NaN);
  });
  if (!(requestsPerSecond > 0 && p50Ms > 0 && p99Ms > 0)) throw new Error(`wrk said: ${output}`);
  return { requestsPerSecond, p50Ms, p99Ms };
}

async function outputOf(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child, 'close');
  return output;
}

/** Sends the load; throws unless every answer was a 2xx, and every product was sent for once. */
export async function sendWrkLoad(load: WrkLoad): Promise<WrkResult> {
  const { url, method, products, edition, token = '', connections, seconds, core } = load;
  const options = ['--threads=1', `--connections=${connections}`, `--duration=${seconds}s`];
  const args = [method, String(products), String(edition), token];
  const command = ['wrk', ...options, `--script=${SCRIPT}`, url, '--', ...args];
  const [program = '', ...rest] =
    core === undefined ? command : ['taskset', '-c', `${core}`, ...command];
  const output = await outputOf(program, rest);
  const line = /^RESULT (.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk said nothing of a result: ${output}`);
  const { requests, refused, broken, p50Ms, p99Ms, seconds: took } = JSON.parse(line);
  if (refused > 0 || broken > 0) {
    throw new Error(`${url}: of ${requests} requests ${refused} were not 2xx, ${broken} broke`);
  }
  if (requests < products + connections) {
    throw new Error(
      `${url}: ${requests} requests in ${took} s are too few for ${products} products`,
    );
  }
  return { requestsPerSecond: requests / took, p50Ms, p99Ms };
}
