/**
 * Where another thread that serves HTTP is answered what only the main thread knows: one desk for each such
 * thread, for as long as it lives. Main thread. The asking side is main-seams.ts.
 */
import type { Logger } from 'pino';
import { pino } from 'pino';
import type { DeadLetterBox } from '../http/seams/dead-letters.ts';
import type { Figures } from '../http/seams/figures.ts';
import type { History } from '../http/seams/history.ts';
import type { Profiles } from '../http/seams/profiles.ts';
import type { BatchKeysRunning } from '../http/seams/running-keys.ts';
import type { UploadPlaces } from '../http/seams/upload-places.ts';
import type { HealthCheck } from '../lifecycle.ts';
import type { MainAnswers } from './thread-messages.ts';

export interface DeskParts {
  readonly logger: Logger;
  readonly checks: () => readonly HealthCheck[];
  readonly history: History | undefined;
  readonly deadLetters: DeadLetterBox;
  readonly profiles: Profiles;
  readonly figures: Figures | undefined;
  readonly running: BatchKeysRunning;
  readonly uploadPlaces: UploadPlaces;
}

export class MainDesk {
  readonly answers: Omit<MainAnswers, 'listening'>;
  readonly #parts: DeskParts;
  readonly #profiles = new Map<number, AbortController>();
  readonly #keys = new Map<number, () => void>();
  #areKeysReleased = false;
  #numbers = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    const { logger, checks, history, deadLetters, figures, uploadPlaces } = parts;
    this.answers = {
      log: (level, line) => writeLine(logger, level, line),
      checks,
      history: (ask) => present(history).ask(ask),
      letters: (after, limit, filter) => deadLetters.list(after, limit, filter),
      redrive: (id) => deadLetters.redrive(id),
      removeLetter: (id) => deadLetters.remove(id),
      profile: (kind, ms, number) => this.#profile(kind, ms, number),
      endProfile: (number) => this.#profiles.get(number)?.abort(),
      metrics: (form) => present(figures).text(form),
      snapshot: () => present(figures).snapshot(),
      beginKey: (key) => this.#beginKey(key),
      endKey: (number) => this.#endKey(number),
      makeRoom: async () => (await uploadPlaces.makeRoom()) ?? false,
    };
  }

  /** The thread is no more: nobody waits for its profiles. */
  close(): void {
    for (const profile of this.#profiles.values()) profile.abort();
  }

  /** What the thread had taken in is settled, too: its keys are free, and it gets no more. */
  releaseKeys(): void {
    this.#areKeysReleased = true;
    for (const end of this.#keys.values()) end();
    this.#keys.clear();
  }

  async #profile(kind: 'cpu' | 'heap', ms: number, number: number) {
    const abort = new AbortController();
    this.#profiles.set(number, abort);
    try {
      return await this.#parts.profiles[kind](ms, abort.signal);
    } finally {
      this.#profiles.delete(number);
    }
  }

  async #beginKey(key: string): Promise<number | undefined> {
    const end = await this.#parts.running.begin(key);
    if (end === undefined) return undefined;
    // The thread may have died while it waited for the key.
    if (this.#areKeysReleased) {
      end();
      return undefined;
    }
    const number = this.#numbers++;
    this.#keys.set(number, end);
    return number;
  }

  #endKey(number: number): void {
    this.#keys.get(number)?.();
    this.#keys.delete(number);
  }
}

/** Another thread has routes only for what there is. */
function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('there is none in this service');
  return part;
}

/** Writes a line that another thread's logger has made to where `logger` writes. */
function writeLine(logger: Logger, level: number, line: string): void {
  const stream: unknown = Reflect.get(logger, pino.symbols.streamSym);
  if (!isStream(stream)) return;
  // As pino does before it writes: some streams go by it.
  stream.lastLevel = level;
  stream.write(line);
}

function isStream(value: unknown): value is { lastLevel: number; write(line: string): void } {
  return typeof value === 'object' && value !== null && 'write' in value;
}
