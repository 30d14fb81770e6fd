/**
 * One thread of a running process, held by strace in a system call of its own while all others run:
 * as a hung disk holds the log thread. Linux, strace.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Test } from 'tap';
import { bounded } from '../helpers/bounded.ts';

const ATTACH_MS_MAX = 60_000;
/** Longer than any test runs; what is held goes on when strace lets go. */
const DELAY = '3600s';

/** Ids of the threads of `pid` with this name, oldest first. */
export function threadsNamed(pid: number, name: string): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .filter((tid) => readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8') === `${name}\n`)
    .map(Number)
    .sort((a, b) => a - b);
}

export class FrozenThread {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()));
  }

  /**
   * Holds the thread `tid` from its next call of `systemCall` on, or the one that it sleeps in; resolves
   * once strace is there. Let go when the test is done.
   */
  static async hold(t: Test, tid: number, systemCall: string): Promise<FrozenThread> {
    const inject = `--inject=${systemCall}:delay_enter=${DELAY}`;
    const args = [`--trace=${systemCall}`, inject, '--output=/dev/null', `--attach=${tid}`];
    const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const thread = new FrozenThread(child);
    t.teardown(() => thread.letGo());
    let said = '';
    const attached = new Promise<void>((resolve, reject) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (/Process \d+ attached/.test(said)) resolve();
      });
      child.once('error', reject);
      child.once('close', () => reject(new Error(`strace did not attach: ${said}`)));
    });
    await bounded(attached, ATTACH_MS_MAX, 'strace to attach');
    return thread;
  }

  /** Resolves once the thread runs again. */
  async letGo(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}
