/**
 * The life of one sink: opens it, finds what changed, writes it, and goes on after every kind of failure.
 * The sink's own thread; nothing else in the service waits for it.
 *
 *          ┌── retry, after a pause ──┐
 *   open ──┴──▶ wait for changes ──▶ window: batch, batch … last batch raises the position ──▶ rest ─┐
 *                    ▲──────────────────────────────────────────────────────────────────────────────┘
 *
 * What may happen, and why nothing is lost or goes back:
 *  1. Killed (service, thread, database) between two batches: the position still is the old one; what the
 *     first batches wrote is found again and refused by its seq.
 *  2. Killed between a commit and its answer: nobody knows. After any failure the position is read anew.
 *  3. Another instance took the sink over meanwhile: `write` says so, with nothing written.
 *  4. The database refuses a row: the batch is halved until the row stands alone; it goes to the dead letters,
 *     flushed, before a position behind it is written.
 *  5. The service stops: what is applied by then is written, unless the database fails or time runs out.
 */
import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleAll,
} from 'cockatiel';
import type { AppliedWaiter } from '../apply/applied-watermark.ts';
import { BatchWriter, BlockedError, type RefusedRows } from './batch-writer.ts';
import type { ChangedProductsSearch } from './changed-products.ts';
import { backoffMs, nextTurn, pause } from './pauses.ts';
import type { ProductRows } from './product-rows.ts';
import { type Sink, SinkForeignError, SinkTakenError } from './sink.ts';
import type { RowRedrive } from './sink-messages.ts';
import type { SinkStats } from './sink-stats.ts';

/** How often a sink without anything to write is asked whether it is still there. */
const BEAT_MS = 10_000;
/** How often an instance that does not write tries to. */
const STANDBY_MS = 1_000;
/** How often it is looked whether a batch is full. */
const LOOK_MS_MAX = 50;

export interface SinkLimits {
  readonly batchSize: number;
  readonly flushIntervalMs: number;
  readonly retryAttemptsMax: number;
  readonly retryInitialMs: number;
  readonly retryMaxMs: number;
  readonly breakerThreshold: number;
  readonly breakerTimeoutMs: number;
}

/** How far events are applied; apply/applied-watermark.ts. */
export interface AppliedEvents {
  readonly seq: number;
  whenApplied(seq: number, onApplied: () => void): AppliedWaiter | undefined;
  cancel(waiter: AppliedWaiter): void;
}

export interface SinkRunnerOptions {
  readonly sink: Sink;
  readonly search: ChangedProductsSearch;
  readonly rows: ProductRows;
  readonly applied: AppliedEvents;
  readonly stats: SinkStats;
  readonly limits: SinkLimits;
  readonly refused: RefusedRows;
  /** One line for the log. */
  readonly report: (level: 'info' | 'warn' | 'error', text: string, error?: unknown) => void;
}

export class SinkRunner {
  readonly #options: SinkRunnerOptions;
  readonly #batches: BatchWriter;
  readonly #breaker: CircuitBreakerPolicy;
  readonly #stop = new AbortController();
  /** Wakes it from any pause, once. */
  #wake = new AbortController();
  /** Undefined = not open. */
  #position: number | undefined;
  #isDraining = false;
  #hasFailed = false;
  /** Failures in a row, for the length of pauses. */
  #failures = 0;
  #openedMs = 0;
  #lastText = '';
  /** Products that are to be written again, and whoever waits for that. */
  readonly #redrives: {
    readonly productId: string;
    readonly done: (status: RowRedrive) => void;
  }[] = [];

  constructor(options: SinkRunnerOptions) {
    this.#options = options;
    this.#batches = new BatchWriter(options);
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

  /** Runs until it is stopped, or drained. Never rejects. */
  async run(): Promise<void> {
    const { sink, stats } = this.#options;
    stats.state = 'connecting';
    while (!this.#stop.signal.aborted) {
      if (this.#position !== undefined && !(await this.#awaitChanges(this.#position))) break;
      await this.#round();
      if (this.#isDraining && this.#hasFailed) break;
    }
    await sink.close();
    stats.state = 'stopped';
  }

  /** Nothing more will be applied: writes what is left, without waiting for more, and ends. */
  drain(): void {
    this.#isDraining = true;
    this.#wake.abort();
  }

  /** Writes the present state of a product again; resolves when the database has said what it thinks of it. */
  redrive(productId: string): Promise<RowRedrive> {
    return new Promise((done) => {
      this.#redrives.push({ productId, done });
      this.#wake.abort();
    });
  }

  /** Ends as soon as the call that is under way returns. */
  stop(): void {
    this.#stop.abort();
    this.#wake.abort();
  }

  /** A pause that the stop ends. */
  async #pause(ms: number): Promise<void> {
    if (this.#isDraining || this.#stop.signal.aborted) return;
    // Whoever woke it before did not mean this pause.
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
    await pause(ms, this.#wake.signal);
  }

  /** Returns when there is something to do: false if it is to end. */
  async #awaitChanges(position: number): Promise<boolean> {
    const { applied, limits } = this.#options;
    if (this.#isDraining) return applied.seq > position;
    if (this.#redrives.length > 0) return true;
    if (applied.seq <= position) {
      const wake = this.#wake;
      const waiter = applied.whenApplied(position + 1, () => wake.abort());
      await pause(BEAT_MS, wake.signal);
      if (waiter !== undefined) applied.cancel(waiter);
      // Until just now it had everything.
      this.#options.stats.set('caughtUpMs', Date.now());
      if (this.#isDraining || this.#stop.signal.aborted) return !this.#stop.signal.aborted;
      this.#wake = new AbortController();
      if (applied.seq <= position) return true;
    }
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
    const untilMs = performance.now() + limits.flushIntervalMs;
    const lookMs = Math.min(LOOK_MS_MAX, limits.flushIntervalMs);
    while (applied.seq - position < limits.batchSize && performance.now() < untilMs) {
      if (this.#isDraining || this.#stop.signal.aborted) break;
      await this.#pause(Math.max(1, Math.min(lookMs, untilMs - performance.now())));
    }
    return !this.#stop.signal.aborted;
  }

  /** Opens the sink or writes a window; retries, and lets the breaker count what failed for good. */
  async #round(): Promise<void> {
    const { limits } = this.#options;
    try {
      await this.#breaker.execute(() => this.#attempts());
    } catch (error) {
      if (error instanceof BrokenCircuitError) {
        this.#hasFailed = true;
        const openMs = performance.now() - this.#openedMs;
        await this.#pause(Math.max(1, limits.breakerTimeoutMs - openMs));
      } else if (this.#breaker.state !== CircuitState.Open) {
        await this.#pause(this.#backoffMs());
      }
    }
  }

  #backoffMs(): number {
    const { retryInitialMs, retryMaxMs } = this.#options.limits;
    return backoffMs(this.#failures - 1, retryInitialMs, retryMaxMs);
  }

  async #attempts(): Promise<void> {
    const { limits, stats } = this.#options;
    // The probe of a half-open breaker is one.
    const isProbe = this.#breaker.state === CircuitState.HalfOpen;
    const attemptsMax = isProbe ? 1 : limits.retryAttemptsMax;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#work();
        if (this.#failures > 0) this.#options.report('info', 'reached again');
        this.#failures = 0;
        this.#lastText = '';
        return;
      } catch (error) {
        this.#failures++;
        const mayPass = await this.#fail(error);
        if (!mayPass || attempt >= attemptsMax || this.#isDraining) throw error;
        stats.add('retries', 1);
        await this.#pause(this.#backoffMs());
        if (this.#stop.signal.aborted) throw error;
      }
    }
  }

  /** Drops the connection; whether to try again soon. */
  async #fail(error: unknown): Promise<boolean> {
    const { sink, stats, report } = this.#options;
    this.#position = undefined;
    stats.state = 'connecting';
    const kind = sink.classify(error);
    if (kind === 'retryable') stats.add('failedRetryable', 1);
    else if (kind === 'system') stats.add('failedSystem', 1);
    else stats.add('failedNotRetryable', 1);
    const text = error instanceof Error ? error.message : String(error);
    // Said once, however often it is tried.
    if (text !== this.#lastText)
      report(kind === 'retryable' ? 'warn' : 'error', `${kind}: ${text}`);
    this.#lastText = text;
    await sink.close();
    return kind === 'retryable';
  }

  async #work(): Promise<void> {
    const { sink, applied } = this.#options;
    try {
      const position = this.#position ?? (await this.#open());
      await this.#redriveAll(position);
      const until = applied.seq;
      if (until > position) await this.#writeWindow(position, until);
      else await sink.beat();
      this.#hasFailed = false;
    } catch (error) {
      this.#hasFailed = true;
      const waitMs = this.#waitMsOf(error);
      if (waitMs === undefined) throw error;
      this.#position = undefined;
      await sink.close();
      await this.#pause(waitMs);
    }
  }

  /** Of what is no failure of the database: how long until it is asked again. */
  #waitMsOf(error: unknown): number | undefined {
    const { stats, report, limits } = this.#options;
    const say = (level: 'info' | 'error', text: string) => {
      if (text !== this.#lastText) report(level, text);
      this.#lastText = text;
    };
    if (error instanceof SinkTakenError) {
      stats.state = 'standby';
      say('info', `standing by: ${error.message}`);
      return STANDBY_MS;
    }
    if (error instanceof SinkForeignError) {
      stats.state = 'foreign';
      say('error', error.message);
      return limits.breakerTimeoutMs;
    }
    if (error instanceof BlockedError) {
      stats.state = 'blocked';
      say('error', error.message);
      return limits.breakerTimeoutMs;
    }
    return undefined;
  }

  async #open(): Promise<number> {
    const { sink, applied, stats, report } = this.#options;
    const position = await sink.open();
    if (position > applied.seq) {
      throw new SinkForeignError(
        `it has everything up to seq ${position}, and the service only ${applied.seq}: it belongs to another or a later state of the data folder; see docs/sinks.md`,
      );
    }
    this.#position = position;
    stats.set('position', position);
    if (stats.get('caughtUpMs') === 0) stats.set('caughtUpMs', Date.now());
    stats.state = 'following';
    report('info', `goes on behind seq ${position}, ${applied.seq - position} events to come`);
    return position;
  }

  async #writeWindow(position: number, applied: number): Promise<void> {
    const { search, stats, limits } = this.#options;
    const startedMs = Date.now();
    const startMs = performance.now();
    const found = search.find(position, applied);
    if (found === 'busy') {
      await nextTurn();
      return;
    }
    if (found.count > limits.batchSize) {
      this.#batches.sort(found.shards, found.entries, found.count);
    }
    for (let from = 0; from === 0 || from < found.count; from += limits.batchSize) {
      const to = Math.min(found.count, from + limits.batchSize);
      const batch = await this.#batches.read(found.shards, found.entries, from, to);
      await this.#batches.write(batch, position, to === found.count ? found.until : position);
      await nextTurn();
      if (this.#stop.signal.aborted) return;
    }
    this.#position = found.until;
    stats.set('position', found.until);
    if (found.until < applied) return;
    stats.set('caughtUpMs', startedMs);
    // So that what is hot gathers meanwhile, and a core stays half free.
    const rest = Math.min(performance.now() - startMs, limits.flushIntervalMs);
    await this.#pause(rest);
  }

  async #redriveAll(position: number): Promise<void> {
    const { rows, refused } = this.#options;
    for (let redrive = this.#redrives[0]; redrive !== undefined; redrive = this.#redrives[0]) {
      const row = rows.readId(redrive.productId);
      if (row === 'busy') {
        await nextTurn();
        continue;
      }
      if (row !== undefined) await this.#batches.write([row], position, position);
      this.#redrives.shift();
      redrive.done(row !== undefined && refused.isRefused(row.id) ? 'refused' : 'written');
    }
  }
}
