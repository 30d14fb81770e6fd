/**
 * Tells which processes were started by a given one. Linux: reads /proc. Callers signal by id, so
 * that nothing is ever ended that they did not start.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface Process {
  readonly pid: number;
  /** Program and arguments. */
  readonly command: readonly string[];
}

/** Returns the children of `pid`, their children and so on, parents first; none if it is gone. */
export function descendantsOf(pid: number): readonly Process[] {
  const childrenOf = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const parent = /^\d+$/.test(entry) ? parentOf(entry) : undefined;
    if (parent !== undefined) {
      childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), Number(entry)]);
    }
  }
  const found: Process[] = [];
  const below = [...(childrenOf.get(pid) ?? [])];
  for (let child = below.shift(); child !== undefined; child = below.shift()) {
    found.push({ pid: child, command: commandOf(child) });
    below.push(...(childrenOf.get(child) ?? []));
  }
  return found;
}

/** Tells whether a process is there and has not ended; a zombie has. */
export function isRunning(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat !== undefined && !/\) [ZX] /.test(stat);
}

/** The second field of `stat` is the program's name in brackets, which may hold spaces and brackets. */
function parentOf(pid: string): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : Number(/.*\) \S (\d+)/.exec(stat)?.[1]);
}

function commandOf(pid: number): readonly string[] {
  return read(`/proc/${pid}/cmdline`)?.split('\0').slice(0, -1) ?? [];
}

/** A process may end between the listing and the reading. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
