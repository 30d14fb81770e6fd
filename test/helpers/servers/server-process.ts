/**
 * A database server of Debian's in a process group of its own, in a folder and on a port of its own; it never
 * outlives the test. Tests only.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { Test } from 'tap';
import { bounded, polled } from '../bounded.ts';

const START_MS_MAX = 60_000;

export interface ServerOptions {
  readonly port: number;
  readonly program: string;
  readonly args: readonly string[];
  /** What stands in its environment beside the path. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another user than root, where it refuses that. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Whether it answers by now; connections are taken earlier. */
  readonly isReady: () => Promise<boolean>;
}

export class ServerProcess {
  readonly port: number;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #said = '';

  constructor(t: Pick<Test, 'teardown'>, options: ServerOptions) {
    this.port = options.port;
    this.#options = options;
    t.teardown(() => this.kill());
  }

  /** Starts it, also again; resolves when it answers. */
  async start(): Promise<void> {
    const { program, args, env, user, isReady } = this.#options;
    const child = spawn(program, [...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { PATH: process.env.PATH ?? '', LC_ALL: 'C.UTF-8', ...env },
      cwd: '/',
      ...user,
    });
    this.#child = child;
    const note = (text: string) => {
      this.#said = `${this.#said}${text}`.slice(-4000);
    };
    child.stdout?.setEncoding('utf8').on('data', note);
    child.stderr?.setEncoding('utf8').on('data', note);
    this.#exited = new Promise((resolve) => child.once('close', () => resolve()));
    await polled(
      async () => {
        if (child.exitCode !== null) throw new Error(`${program} ended: ${this.#said}`);
        return (await isReady()) ? true : undefined;
      },
      START_MS_MAX,
      `${program} to answer`,
    );
  }

  /** SIGKILL to all of its processes. */
  async kill(): Promise<void> {
    // A stopped process takes the signal, too.
    this.#signal('SIGKILL');
    await bounded(this.#exited, START_MS_MAX, 'the server to be gone');
    this.#child = undefined;
  }

  /** All of its processes stand still: connections stay, nothing answers. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  goOn(): void {
    this.#signal('SIGCONT');
  }

  /** Peak resident memory and CPU are nobody's business here; its id is, for tools. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    for (const each of groupOf(pid)) {
      try {
        process.kill(each, signal);
      } catch {
        // It ended meanwhile.
      }
    }
  }
}

/** A process and its children: PostgreSQL's make sessions of their own. */
function groupOf(pid: number): number[] {
  try {
    const children = execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' });
    return [pid, ...children.split('\n').filter(Boolean).map(Number)];
  } catch {
    return [pid];
  }
}

export function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
