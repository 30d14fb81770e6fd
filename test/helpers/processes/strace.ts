/**
 * Faults in the real system calls of a process, put there by strace: from its start, or from now
 * until told. A test asks the trace what was really injected, so that no fault is silently missing.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Test } from 'tap';
import { bounded } from '../bounded.ts';
import { tempDir } from '../disks/temp-dir.ts';

/** The calls by which log and checkpoints change the disk; `write` is what the logger uses. */
const CALLS = ['pwrite64', 'fdatasync', 'fsync', 'ftruncate', 'rename'];
const ATTACH_MS_MAX = 60_000;

/** What strace wrote down, one line for each call. */
export class SystemCallTrace {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  get lines(): string[] {
    if (!existsSync(this.#path)) return [];
    // A call is cut in two where another thread's came in between: put together again.
    const begun = new Map<string, string>();
    return readFileSync(this.#path, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const thread = line.split(' ', 1)[0] ?? '';
        const start = begun.get(thread);
        begun.delete(thread);
        if (line.endsWith(' <unfinished ...>')) {
          begun.set(thread, line.slice(0, -' <unfinished ...>'.length));
          return [];
        }
        if (start === undefined) return [line];
        const end = line.indexOf(' resumed>');
        return end < 0 ? [start, line] : [start + line.slice(end + ' resumed>'.length)];
      });
  }

  /** How many faults were injected, by call and error: `{ 'fdatasync EIO': 3 }`. */
  get injected(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const line of this.lines) {
      const found = / (\w+)\(.* = -1 (E\w+) .*\(INJECTED\)/.exec(line);
      if (found === null) continue;
      const fault = `${found[1]} ${found[2]}`;
      counts[fault] = (counts[fault] ?? 0) + 1;
    }
    return counts;
  }

  /** How many writes took fewer bytes than they were given, but some. */
  get shortWrites(): number {
    return this.lines.filter((line) => {
      const [, asked, taken] = /pwrite64\(.*, (\d+), \d+\) += (\d+)$/.exec(line) ?? [];
      return taken !== undefined && Number(taken) < Number(asked);
    }).length;
  }

  /** How many calls found the disk full. */
  get fullDisk(): number {
    return this.lines.filter((line) => / = -1 ENOSPC /.test(line)).length;
  }

  /**
   * Calls on a segment that had failed with EIO before. There must be none: a second flush may
   * succeed with the data lost. A fresh file of the same name is another one.
   */
  get usesAfterFailure(): string[] {
    const failed = new Set<string>();
    return this.lines.filter((line) => {
      const fresh = / rename\(.*, "(.*)"\) += 0$/.exec(line)?.[1];
      if (fresh !== undefined) failed.delete(fresh);
      const used = / (?:pwrite64|fdatasync|ftruncate)\(\d+<(.*\.seg)>.* = (-1 EIO)?/.exec(line);
      if (used === null) return false;
      const [, path, error] = used;
      const isUse = failed.has(path);
      if (error !== undefined) failed.add(path);
      return isUse;
    });
  }

  /** How many calls of one name the thread made that made most of them. */
  callsOfBusiest(name: string): number {
    const calls: Record<string, number> = {};
    for (const line of this.lines.filter((text) => text.includes(` ${name}(`))) {
      const thread = line.split(' ', 1)[0] ?? '';
      calls[thread] = (calls[thread] ?? 0) + 1;
    }
    return Math.max(0, ...Object.values(calls));
  }
}

/**
 * The command to start a service under. Injections are strace's own: `fdatasync:error=EIO:when=3`
 * fails the third call of each thread. The process keeps its place: signals and exit are its own.
 */
export function underStrace(t: Test, injections: readonly string[]) {
  const path = join(tempDir(t), 'trace');
  const under = [findStrace(), '--daemonize', ...options(path, injections)];
  return { under, trace: new SystemCallTrace(path) };
}

/** strace attached to a running process: the faults last until it is detached. */
export class AttachedStrace {
  readonly trace: SystemCallTrace;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(child: ChildProcess, path: string) {
    this.#child = child;
    this.trace = new SystemCallTrace(path);
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()));
  }

  /** Attaches to all threads of `pid`; resolves once that is done. Detached when the test is done. */
  static async attach(
    t: Test,
    pid: number,
    injections: readonly string[],
  ): Promise<AttachedStrace> {
    const path = join(tempDir(t), 'trace');
    const child = spawn(findStrace(), [...options(path, injections), '--attach', String(pid)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const strace = new AttachedStrace(child, path);
    t.teardown(() => strace.detach());
    let said = '';
    const attached = new Promise<void>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (/Process \d+ attached/.test(said)) resolve();
      });
      child.once('close', () => reject(new Error(`strace did not attach: ${said}`)));
    });
    await bounded(attached, ATTACH_MS_MAX, 'strace to attach');
    return strace;
  }

  /** Lets the process go on without faults; resolves once it does. */
  async detach(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}

function options(path: string, injections: readonly string[]): string[] {
  const calls = new Set([...CALLS, ...injections.map((injection) => injection.split(':')[0])]);
  return [
    '--follow-forks',
    '--string-limit=0',
    '--decode-fds=path',
    `--trace=${[...calls].join(',')}`,
    ...injections.map((injection) => `--inject=${injection}`),
    `--output=${path}`,
  ];
}

/** Path of a strace that works; throws with what to do about it. */
function findStrace(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const path = folders.map((folder) => join(folder, 'strace')).find((file) => existsSync(file));
  if (path === undefined) {
    throw new Error('strace is missing: install it (apt-get install strace) and run again');
  }
  const { status, stderr } = spawnSync(path, ['-o', '/dev/null', 'true']);
  if (status === 0) return path;
  throw new Error(
    `strace can't trace here: ${String(stderr).trim()}; allow ptrace (in a container: ` +
      '--cap-add=SYS_PTRACE, and a seccomp profile that lets it through) and run again',
  );
}
