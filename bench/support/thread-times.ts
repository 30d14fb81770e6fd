/**
 * CPU time of a process and of its threads, read from /proc (Linux only). Any process.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** The kernel counts in ticks; USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

/** CPU milliseconds (user and system) of process `pid` so far, all threads, ended ones too. */
export function processCpuMs(pid: number): number {
  return cpuMs(`/proc/${pid}/stat`);
}

/** CPU milliseconds of the main thread of process `pid` so far. */
export function mainThreadCpuMs(pid: number): number {
  return cpuMs(`/proc/${pid}/task/${pid}/stat`);
}

/** CPU milliseconds of each thread that process `pid` has now, by thread id. */
export function threadsCpuMs(pid: number): Map<number, number> {
  const times = new Map<number, number>();
  for (const name of readdirSync(`/proc/${pid}/task`)) {
    times.set(Number(name), cpuMs(`/proc/${pid}/task/${name}/stat`));
  }
  return times;
}

/** CPU milliseconds of those threads of process `pid` whose name begins with `name`. */
export function namedThreadsCpuMs(pid: number, name: string): number {
  let sum = 0;
  for (const [thread, ms] of threadsCpuMs(pid)) {
    if (readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').startsWith(name)) sum += ms;
  }
  return sum;
}

function cpuMs(path: string): number {
  const stat = readFileSync(path, 'utf8');
  // The name, in parentheses, may hold spaces; utime and stime are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
