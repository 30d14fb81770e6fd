/**
 * HTTP load with wrk (Debian's package), which costs the machine far less for each request than a client
 * in Node, so that one core can load a server on another. Runs in the bench's process.
 */
import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const WRK = '/usr/bin/wrk';

export interface WrkLoad {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Lua that says what is sent: `postEvents` or `getProducts`. */
  readonly script: string;
  /** The core that wrk runs on. */
  readonly core: number;
}

export interface WrkResult {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Each connection in turn posts an event for one of `products` products. Returns the script's path. */
export function postEvents(folder: string, products: number): string {
  return script(
    folder,
    'post.lua',
    `local n = 0
     request = function()
       n = n + 1
       local body = string.format('{"product_id":"p%d","price":%d.25,"stock":%d}', n % ${products}, n % 1000, n % 977)
       return wrk.format("POST", "/api/v1/events", { ["content-type"] = "application/json" }, body)
     end`,
  );
}

/** The same reads one of them. */
export function getProducts(folder: string, products: number): string {
  return script(
    folder,
    'get.lua',
    `local n = 0
     request = function()
       n = n + 1
       return wrk.format("GET", string.format("/api/v1/products/p%d", n % ${products}))
     end`,
  );
}

/** Sends the load; throws unless every answer is a 2xx. */
export async function runWrk(load: WrkLoad): Promise<WrkResult> {
  if (!existsSync(WRK)) throw new Error('wrk is missing: apt-get install wrk');
  const { url, connections, seconds, script, core } = load;
  const args = ['-c', `${core}`, WRK, '-t1', `-c${connections}`, `-d${seconds}s`, '--latency'];
  const { stdout } = await promisify(execFile)('taskset', [...args, '-s', script, url]);
  const fault = /Non-2xx[^\n]*|Socket errors[^\n]*/.exec(stdout);
  if (fault !== null) throw new Error(`${url}, ${script}: ${fault[0]}`);
  return {
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
  };
}

function script(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function milliseconds(match: RegExpExecArray | null): number {
  const perUnit: Record<string, number> = { us: 1e-3, ms: 1, s: 1e3 };
  return Number(match?.[1]) * (perUnit[match?.[2] ?? ''] ?? Number.NaN);
}
