/** HTTP load with wrk (Debian's), which costs less CPU than any client in Node. Runs in the bench's process. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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
  return spawnSync('wrk', ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** Sends the load; throws unless every answer was a 2xx, and every product was sent for once. */
export async function sendWrkLoad(load: WrkLoad): Promise<WrkResult> {
  const { url, method, products, edition, token = '', connections, seconds, core } = load;
  const options = ['--threads=1', `--connections=${connections}`, `--duration=${seconds}s`];
  const args = [method, String(products), String(edition), token];
  const command = ['wrk', ...options, `--script=${SCRIPT}`, url, '--', ...args];
  const [program = '', ...rest] =
    core === undefined ? command : ['taskset', '-c', `${core}`, ...command];
  const child = spawn(program, rest);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child, 'close');
  const line = /^RESULT (.*)$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk said nothing of a result: ${output}`);
  const { requests, refused, broken, p50Ms, p99Ms, seconds: took } = JSON.parse(line);
  if (refused > 0 || broken > 0 || requests < products + connections) {
    throw new Error(`${url}: of ${requests} requests ${refused} were not 2xx, ${broken} broke`);
  }
  return { requestsPerSecond: requests / took, p50Ms, p99Ms };
}
