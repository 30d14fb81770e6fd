/**
 * A server under load in a process of its own, started and ended by the bench. It says on standard
 * output where it listens (`ready on http://…`). Main thread of the bench.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { START_ENV } from './start-env.ts';

/** A large catalogue with a log behind it, on a busy machine. */
const START_MS_MAX = 180_000;
const STOP_MS_MAX = 20_000;
const ORDER_MS_MAX = 120_000;

export class ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** What it said up to then. */
  readonly output: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, { url, output }: Ready) {
    this.#child = child;
    this.pid = child.pid as number;
    this.url = url;
    this.output = output;
  }

  /**
   * Starts `module` (relative to the project) and resolves when it says that it is ready. With a
   * `channel`, messages can be exchanged with it (`order`).
   */
  static async start(
    module: string,
    env: Readonly<Record<string, string>>,
    channel: 'ipc' | 'ignore' = 'ignore',
  ): Promise<ServerProcess> {
    const path = fileURLToPath(new URL(`../../${module}`, import.meta.url));
    const child = spawn(process.execPath, [path], {
      env: { ...START_ENV, ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit', channel],
    });
    const kill = () => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    return new ServerProcess(child, await whenReady(child, module));
  }

  /** Sends a message to a module that answers each; resolves with the answer. */
  async order(message: string): Promise<unknown> {
    const answer = once(this.#child, 'message', { signal: AbortSignal.timeout(ORDER_MS_MAX) });
    this.#child.send(message);
    return (await answer)[0];
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  /** Ends it with SIGTERM; throws unless it exits cleanly in time. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, 'exit', { signal: AbortSignal.timeout(STOP_MS_MAX) });
      this.#child.kill('SIGTERM');
      await exit;
    }
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== 0) throw new Error(`the server ended with ${exitCode ?? signalCode}`);
  }
}

interface Ready {
  readonly url: string;
  readonly output: string;
}

function whenReady(child: ChildProcess, module: string): Promise<Ready> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (why: string) => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`${module} ${why}: ${output}`));
    };
    const timer = setTimeout(() => fail('was not ready in time'), START_MS_MAX);
    child.once('exit', () => fail('ended before it was ready'));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      // What comes later is read, so that the server is not held up, and dropped.
      if (output.length < 64 * 1024) output += text;
      const url = /ready on (http:\/\/[\w.:-]+)/.exec(output)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve({ url, output });
    });
  });
}
