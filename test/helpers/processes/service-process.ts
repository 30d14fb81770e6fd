/**
 * The real process, started as a user starts it, with an environment and a working folder of its
 * own: nothing of the test's environment reaches it but the place of Node's compile cache. It never
 * outlives the test.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { bounded } from '../bounded.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const START_MS_MAX = 120_000;
const EXIT_MS_MAX = 120_000;
/** Of what it logged, in an error. */
const SAID_MAX = 2000;
/** A disk or a machine that is slow for a while under the tests beside must not change an answer. */
const PATIENT = { STORAGE_TIMEOUT: '60s', SHUTDOWN_TIMEOUT: '60s', STALL_TIMEOUT: '60s' };

/** One line of the log. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [member: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
  /** Environment, whole but for a free port and patience; DATA_DIR is taken against `cwd`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working folder: DATA_DIR's default lies in it, and `.env` is read from it. */
  readonly cwd: string;
  readonly args?: readonly string[];
  /** Command that runs it, with a path, such as strace and its options. */
  readonly under?: readonly string[];
  /** Descriptor for its standard output, which the test reads itself, if at all, and hands to `took`. */
  readonly stdout?: number;
}

type Child = ChildProcessByStdio<null, Readable | null, Readable>;

const { NODE_COMPILE_CACHE, TEST_HTTP_THREADS } = process.env;
const HTTP_THREADS = TEST_HTTP_THREADS === undefined ? {} : { HTTP_THREADS: TEST_HTTP_THREADS };
/** By itself tap puts a loader of its own into each child, which takes half as long again to start. */
const IS_COVERED = process.env._TAPJS_PROCESSINFO_COVERAGE_ === '1';
const COMPILE_CACHE = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };

export class ServiceProcess {
  readonly exited: Promise<Exit>;
  readonly #child: Child;
  readonly #port = Promise.withResolvers<number>();
  #stdout = '';
  #stderr = '';
  #watchers: (() => void)[] = [];
  #isClosed = false;

  private constructor(options: ProcessOptions) {
    const { cwd, args = [], under = [] } = options;
    const env = { PORT: '0', ...PATIENT, ...COMPILE_CACHE, ...HTTP_THREADS, ...options.env };
    const command = [process.execPath, MAIN, ...args];
    // `env -i` and not only `spawn`'s own `env`: tap adds to that.
    const pairs = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const [program = '', ...rest] = IS_COVERED
      ? [...under, ...command]
      : ['/usr/bin/env', '-i', ...pairs, ...under, ...command];
    const stdio = ['ignore', options.stdout ?? 'pipe', 'pipe'] as const;
    this.#child = spawn(program, rest, { cwd, env, stdio: [...stdio] }) as Child;
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.took(text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      this.#wake();
    });
    this.#port.promise.catch(() => undefined);
    // `close` comes after the last byte of both streams.
    this.exited = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        this.#isClosed = true;
        this.#port.reject(new Error(`exited before it was ready (${code}): ${this.#stderr}`));
        resolve({ code, signal });
        this.#wake();
      });
    });
  }

  /** Starts the process; it is killed, if need be, when the test is done. */
  static spawn(t: Test, options: ProcessOptions): ServiceProcess {
    const service = new ServiceProcess(options);
    const kill = () => service.#child.kill('SIGKILL');
    // For a test that is cut off before its teardown.
    process.once('exit', kill);
    void service.exited.then(() => process.off('exit', kill));
    t.teardown(async () => {
      kill();
      await service.exited;
    });
    return service;
  }

  /** Starts it and waits until it is ready. */
  static async start(t: Test, options: ProcessOptions): Promise<ServiceProcess> {
    const service = ServiceProcess.spawn(t, options);
    await service.ready();
    return service;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** What it logged so far. */
  get log(): LogLine[] {
    const whole = this.#stdout.slice(0, this.#stdout.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** Waits for readiness and gives the port; rejects if the process ends before. */
  async ready(): Promise<number> {
    try {
      return await bounded(this.#port.promise, START_MS_MAX, 'the process to be ready');
    } catch (error) {
      throw new Error(`${(error as Error).message}; it said ${this.#stdout.slice(-SAID_MAX)}`);
    }
  }

  /** Waits for a line of the log whose message contains `text`; rejects if the process ends first. */
  logged(text: string, ms = START_MS_MAX): Promise<LogLine> {
    const found = new Promise<LogLine>((resolve, reject) => {
      const look = () => {
        const line = this.log.find(({ msg }) => msg?.includes(text));
        if (line !== undefined) resolve(line);
        else if (this.#isClosed) reject(new Error(`ended without logging ${text}`));
        else this.#watchers.push(look);
      };
      look();
    });
    return bounded(found, ms, `the log to say ${text}`);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits for the exit. */
  exit(): Promise<Exit> {
    return bounded(this.exited, EXIT_MS_MAX, 'the process to exit');
  }

  /** Asks it to stop and waits until it has. */
  stop(): Promise<Exit> {
    this.kill('SIGTERM');
    return this.exit();
  }

  /** Ends it as a crash would and waits until it is gone. */
  async crash(): Promise<void> {
    this.kill('SIGKILL');
    await this.exit();
  }

  /** Text of its standard output, where the test reads that. */
  took(text: string): void {
    this.#stdout += text;
    const port = /"msg":"ready on https?:\/\/[^"]*:(\d+)"/.exec(this.#stdout)?.[1];
    if (port !== undefined) this.#port.resolve(Number(port));
    this.#wake();
  }

  #wake(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }
}
