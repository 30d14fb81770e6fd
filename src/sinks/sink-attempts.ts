/**
 * What becomes of a piece of a sink's work: tried, tried again after a pause with full jitter, and counted by the
 * breaker once that has failed for good; an open breaker leaves the database alone. After any failure the
 * connection is dropped, and what the runner knew of the database with it. The sink's own thread.
 */
import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleAll,
} from 'cockatiel';
import { BlockedError } from './batch-writer.ts';
import { backoffMs } from './pauses.ts';
import type { RunnerPauses } from './runner-pauses.ts';
import { type Sink, SinkForeignError, SinkTakenError } from './sink.ts';
import type { SinkStats } from './sink-stats.ts';

/** How often an instance that does not write tries to. */
const STANDBY_MS = 1_000;

export interface AttemptLimits {
  readonly retryAttemptsMax: number;
  readonly retryInitialMs: number;
  readonly retryMaxMs: number;
  readonly breakerThreshold: number;
  readonly breakerTimeoutMs: number;
}

/** One line for the log. */
export type SinkReport = (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;

export interface SinkAttemptsOptions {
  readonly sink: Pick<Sink, 'classify' | 'close'>;
  readonly stats: SinkStats;
  readonly limits: AttemptLimits;
  readonly report: SinkReport;
  readonly pauses: RunnerPauses;
  /** The connection is dropped; where the database is must be read anew. */
  readonly onLost: () => void;
}

export class SinkAttempts {
  readonly #options: SinkAttemptsOptions;
  readonly #breaker: CircuitBreakerPolicy;
  #hasFailed = false;
  /** Failures in a row, for the length of pauses. */
  #failures = 0;
  #openedMs = 0;
  #lastText = '';

  constructor(options: SinkAttemptsOptions) {
    this.#options = options;
    const { limits, stats } = options;
    this.#breaker = circuitBreaker(handleAll, {
      halfOpenAfter: limits.breakerTimeoutMs,
      breaker: new ConsecutiveBreaker(limits.breakerThreshold),
    });
    this.#breaker.onStateChange((state) => {
      if (state === CircuitState.Open) this.#openedMs = performance.now();
      stats.breaker =
        state === CircuitState.Open
          ? 'open'
          : state === CircuitState.HalfOpen
            ? 'half-open'
            : 'closed';
    });
  }

  /** Whether the last try was one, or the breaker let none through. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Does `work`, or waits for a time when that may be worth it. Never rejects. */
  async round(work: () => Promise<void>): Promise<void> {
    const { limits, pauses } = this.#options;
    try {
      await this.#breaker.execute(() => this.#attempts(work));
    } catch (error) {
      if (error instanceof BrokenCircuitError) {
        this.#hasFailed = true;
        const openMs = performance.now() - this.#openedMs;
        await pauses.pause(Math.max(1, limits.breakerTimeoutMs - openMs));
      } else if (this.#breaker.state !== CircuitState.Open) {
        await pauses.pause(this.#backoffMs());
      }
    }
  }

  #backoffMs(): number {
    const { retryInitialMs, retryMaxMs } = this.#options.limits;
    return backoffMs(this.#failures - 1, retryInitialMs, retryMaxMs);
  }

  async #attempts(work: () => Promise<void>): Promise<void> {
    const { limits, stats, pauses, report } = this.#options;
    // The probe of a half-open breaker is one.
    const isProbe = this.#breaker.state === CircuitState.HalfOpen;
    const attemptsMax = isProbe ? 1 : limits.retryAttemptsMax;
    for (let attempt = 1; ; attempt++) {
      try {
        if (!(await this.#once(work))) return;
        if (this.#failures > 0) report('info', 'reached again');
        this.#failures = 0;
        this.#lastText = '';
        return;
      } catch (error) {
        this.#failures++;
        const mayPass = await this.#fail(error);
        if (!mayPass || attempt >= attemptsMax || pauses.isDraining) throw error;
        stats.add('retries', 1);
        await pauses.pause(this.#backoffMs());
        if (pauses.isStopping) throw error;
      }
    }
  }

  /** One try; whether it worked. Rejects with what is a failure of the database. */
  async #once(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#hasFailed = false;
      this.#options.stats.set('reachedMs', Date.now());
      return true;
    } catch (error) {
      this.#hasFailed = true;
      const waitMs = this.#waitMsOf(error);
      if (waitMs === undefined) throw error;
      await this.#drop();
      await this.#options.pauses.pause(waitMs);
      return false;
    }
  }

  /** Drops the connection; whether to try again soon. */
  async #fail(error: unknown): Promise<boolean> {
    const { sink, stats } = this.#options;
    stats.state = 'connecting';
    const kind = sink.classify(error);
    if (kind === 'retryable') stats.add('failedRetryable', 1);
    else if (kind === 'system') stats.add('failedSystem', 1);
    else stats.add('failedNotRetryable', 1);
    const text = error instanceof Error ? error.message : String(error);
    this.#say(kind === 'retryable' ? 'warn' : 'error', `${kind}: ${text}`);
    await this.#drop();
    return kind === 'retryable';
  }

  async #drop(): Promise<void> {
    this.#options.onLost();
    await this.#options.sink.close();
  }

  /** Of what is no failure of the database: how long until it is asked again. */
  #waitMsOf(error: unknown): number | undefined {
    const { stats, limits } = this.#options;
    if (error instanceof SinkTakenError) {
      stats.state = 'standby';
      this.#say('info', `standing by: ${error.message}`);
      return STANDBY_MS;
    }
    if (error instanceof SinkForeignError) {
      stats.state = 'foreign';
      this.#say('error', error.message);
      return limits.breakerTimeoutMs;
    }
    if (error instanceof BlockedError) {
      stats.state = 'blocked';
      this.#say('error', error.message);
      return limits.breakerTimeoutMs;
    }
    return undefined;
  }

  /** Said once, however often it is tried. */
  #say(level: 'info' | 'warn' | 'error', text: string): void {
    if (text !== this.#lastText) this.#options.report(level, text);
    this.#lastText = text;
  }
}
