/**
 * The dead letters as the main thread reaches them: by a thread of its own, because each call waits for the
 * disk. The thread is started by the first call; until there is a file, nothing is read. Main thread.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { within } from '../deadline.ts';
import type { DeadLetter, LetterFilter, NewLetter } from './dead-letters.ts';
import type { DeskAnswer, DeskCall, DeskThreadData } from './letter-desk-messages.ts';

/** A file that somebody else holds is waited for much longer. */
const COUNT_MS_MAX = 500;

const ENTRY = new URL('../../workers/dead-letters.ts', import.meta.url);

export interface LetterDeskOptions {
  readonly path: string;
  readonly lettersMax: number;
}

export class LetterDesk {
  readonly #options: LetterDeskOptions;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #worker: Worker | undefined;
  #calls = 0;
  #counting: Promise<void> | undefined;
  #counted: number | undefined;

  constructor(options: LetterDeskOptions) {
    this.#options = options;
  }

  get lettersMax(): number {
    return this.#options.lettersMax;
  }

  /** Keeps a letter, flushed when it resolves; to false if there is no room. */
  async put(letter: NewLetter): Promise<boolean> {
    mkdirSync(dirname(this.#options.path), { recursive: true });
    return (await this.#call({ name: 'put', letter })) === true;
  }

  /** Up to `limit` letters behind `after`, oldest first. */
  async list(after: number, limit: number, filter: LetterFilter): Promise<readonly DeadLetter[]> {
    if (!existsSync(this.#options.path)) return [];
    return (await this.#call({ name: 'list', after, limit, filter })) as readonly DeadLetter[];
  }

  async get(id: number): Promise<DeadLetter | undefined> {
    if (!existsSync(this.#options.path)) return undefined;
    return (await this.#call({ name: 'get', id })) as DeadLetter | undefined;
  }

  /** Whether it was there. */
  async remove(id: number): Promise<boolean> {
    if (!existsSync(this.#options.path)) return false;
    return (await this.#call({ name: 'remove', id })) === true;
  }

  /** How many there are; as last known where the file can't be read soon, `undefined` if it never was. */
  async count(): Promise<number | undefined> {
    if (!existsSync(this.#options.path)) return 0;
    this.#counting ??= this.#call({ name: 'count' })
      .then((count) => {
        this.#counted = Number(count);
      })
      .catch(() => undefined)
      .finally(() => {
        this.#counting = undefined;
      });
    await within(COUNT_MS_MAX, this.#counting);
    return this.#counted;
  }

  async terminate(): Promise<void> {
    await this.#worker?.terminate();
  }

  #call(call: DeskCall): Promise<unknown> {
    const id = ++this.#calls;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#started().postMessage({ id, call });
    return answer.promise;
  }

  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const workerData: DeskThreadData = this.#options;
    const worker = new Worker(ENTRY, { workerData, name: 'dead-letters' });
    // It never holds the process up.
    worker.unref();
    worker.on('message', ({ id, result, error }: DeskAnswer) => {
      const answer = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) answer?.resolve(result);
      else answer?.reject(new Error(error));
    });
    let reason = 'the thread of the dead letters ended';
    worker.once('error', (error) => {
      reason = String(error);
    });
    worker.once('exit', () => {
      this.#worker = undefined;
      for (const each of this.#waiting.values()) each.reject(new Error(reason));
      this.#waiting.clear();
    });
    this.#worker = worker;
    return worker;
  }
}
