/** The threads of the one service, or write path, that runs in the test's process; a test may kill them. */
import type { Worker } from 'node:worker_threads';
import type { Test } from 'tap';

export class ServiceThreads {
  readonly #alive = new Set<Worker>();

  /** Sees the threads that are started from now on. */
  constructor(t: Pick<Test, 'teardown'>) {
    const note = (thread: Worker) => {
      this.#alive.add(thread);
      thread.once('exit', () => this.#alive.delete(thread));
    };
    process.on('worker', note);
    t.teardown(() => process.off('worker', note));
  }

  /** Kills the log's thread, as a crash would. */
  async killLog(): Promise<void> {
    await this.#of('log').at(0)?.terminate();
  }

  /** Kills an applier's thread: the oldest is 0, the newest −1. */
  async killApplier(index: number): Promise<void> {
    await this.#appliers.at(index)?.terminate();
  }

  /** Those that serve HTTP beside the main thread, oldest first. */
  get http(): readonly Worker[] {
    return this.#of('http');
  }

  get #appliers(): Worker[] {
    return [...this.#alive].filter(
      ({ threadName }) =>
        !/^(log|http|checkpoint|history|history-reader|dead-letters|sink .*)$/.test(
          threadName ?? '',
        ),
    );
  }

  #of(name: string): Worker[] {
    return [...this.#alive].filter(({ threadName }) => threadName === name);
  }
}
