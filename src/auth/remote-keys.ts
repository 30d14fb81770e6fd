/**
 * The issuer's key set, kept. Main thread.
 *
 * One set for all tokens: fetched at the start, every `refreshMs`, and for a token whose key it doesn't
 * have; but never twice within `cooldownMs`, whatever tokens say and whether the last fetch failed or not, so
 * that nobody makes this service hammer the issuer. A fetched set replaces the one before: a key that was
 * withdrawn is gone. Over an outage the last good set stays in force for `keepMs`, then there is none.
 */
import type { Logger } from 'pino';
import { areSame, parseKeySet } from './key-set.ts';
import {
  type Algorithm,
  fitting,
  type KeysUnreachable,
  type TokenKey,
  type TokenKeys,
} from './token-keys.ts';

export interface RemoteKeysOptions {
  readonly url: string;
  readonly refreshMs: number;
  readonly cooldownMs: number;
  readonly keepMs: number;
  /** Gives the text behind a URL, or rejects with one line. */
  readonly load: (url: string) => Promise<string>;
  readonly logger: Logger;
  /** Monotonic ms. */
  readonly now: () => number;
}

export class RemoteKeys implements TokenKeys {
  readonly #options: RemoteKeysOptions;
  #keys: readonly TokenKey[] = [];
  /** When the set in force was fetched. */
  #fetchedAtMs = Number.NEGATIVE_INFINITY;
  /** When a fetch was begun last, and whether it failed. */
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #hasFailed = false;
  #fetching: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #onChange: () => void = () => undefined;

  constructor(options: RemoteKeysOptions) {
    this.#options = options;
  }

  open(onChange: () => void): void {
    this.#onChange = onChange;
    void this.#fetch();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#onChange = () => undefined;
  }

  async candidates(
    algorithm: Algorithm,
    kid: string | undefined,
  ): Promise<readonly TokenKey[] | KeysUnreachable> {
    if (algorithm === 'HS256') return []; // no set has secrets
    const known = fitting(this.#keys, algorithm, kid);
    if (known.length > 0) return known;
    if (this.#fetching !== undefined || this.#cooldownLeftMs() <= 0) await this.#fetch();
    const found = fitting(this.#keys, algorithm, kid);
    if (found.length > 0 || !this.#hasFailed) return found;
    // It may be a new key of the issuer's, who can't be asked.
    return { retryAfterSeconds: Math.max(1, Math.ceil(this.#cooldownLeftMs() / 1000)) };
  }

  #cooldownLeftMs(): number {
    return this.#triedAtMs + this.#options.cooldownMs - this.#options.now();
  }

  /** Resolves when it is over, however it ended. */
  #fetch(): Promise<void> {
    this.#fetching ??= this.#tryOnce().finally(() => {
      this.#fetching = undefined;
      this.#schedule();
    });
    return this.#fetching;
  }

  async #tryOnce(): Promise<void> {
    const { url, load, logger, now } = this.#options;
    this.#triedAtMs = now();
    try {
      const keys = parseKeySet(await load(url));
      this.#hasFailed = false;
      this.#fetchedAtMs = now();
      this.#replace(keys);
    } catch (error) {
      this.#hasFailed = true;
      const reason = error instanceof Error ? error.message : String(error);
      const isOver = now() - this.#fetchedAtMs > this.#options.keepMs;
      if (isOver) this.#replace([]);
      logger.error(
        { url, reason, keys: this.#keys.length },
        `authentication: the key set can not be had (${reason}); ${isOver ? 'there is none' : 'the last one stays in force'}`,
      );
    }
  }

  #replace(keys: readonly TokenKey[]): void {
    if (areSame(this.#keys, keys)) return;
    this.#keys = keys;
    const kids = keys.map(({ kid = '(none)' }) => kid);
    this.#options.logger.info({ kids }, `authentication: ${keys.length} keys in force`);
    this.#onChange();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const { refreshMs, cooldownMs } = this.#options;
    const pauseMs = this.#hasFailed ? Math.min(cooldownMs, refreshMs) : refreshMs;
    this.#timer = setTimeout(() => void this.#fetch(), pauseMs).unref();
  }
}
