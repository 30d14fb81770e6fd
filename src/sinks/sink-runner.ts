/**
 * The life of one sink: opens it, finds what changed, writes it, and goes on after every kind of failure
 * (sink-attempts.ts). The sink's own thread; nothing else in the service waits for it.
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
import type { AppliedWaiter } from '../apply/applied-watermark.ts';
import { BatchWriter, type RefusedRows } from './batch-writer.ts';
import type { ChangedProductsSearch } from './changed-products.ts';
import { nextTurn } from './pauses.ts';
import type { ProductRows } from './product-rows.ts';
import { RunnerPauses } from './runner-pauses.ts';
import { type Sink, SinkForeignError, SinkTakenError } from './sink.ts';
import { type AttemptLimits, SinkAttempts, type SinkReport } from './sink-attempts.ts';
import { compareSink, forgottenRow } from './sink-comparison.ts';
import type { RowRedrive } from './sink-messages.ts';
import type { SinkStats } from './sink-stats.ts';
import { eventOf, type Timeline } from './timeline.ts';

/** How often a sink to which nothing is written is asked whether it is still there: leases and sessions end without. */
const BEAT_MS = 10_000;
/** How often it is looked whether a batch is full. */
const LOOK_MS_MAX = 50;

export interface SinkLimits extends AttemptLimits {
  readonly batchSize: number;
  readonly flushIntervalMs: number;
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
  /** BEAT_MS, but in tests. */
  readonly beatMs?: number | undefined;
  /**
   * It was opened at this position: resolves when places are held for it, to the number of the comparison that
   * its rows need; `undefined` = none.
   */
  readonly hold: (position: number) => Promise<number | undefined>;
  /** The comparison with this number is done. */
  readonly onCompared: (comparison: number) => void;
  /** Whether other instances of a cluster write to it, too: then it may be ahead of this one. */
  readonly isShared: boolean;
  /** Which run of the service committed which events; empty in a cluster. */
  readonly timeline: Timeline;
  readonly report: SinkReport;
}

export class SinkRunner {
  readonly #options: SinkRunnerOptions;
  readonly #batches: BatchWriter;
  readonly #attempts: SinkAttempts;
  readonly #pauses = new RunnerPauses();
  /** Undefined = not open. */
  #position: number | undefined;
  /** Its rows have to be compared with the store; the number of the order. */
  #comparison: number | undefined;
  /** Until then changes are gathered; `undefined` = they are not. */
  #gatherUntilMs: number | undefined;
  #beatenMs = 0;
  /** Products that are to be written again, and whoever waits for that. */
  readonly #redrives: {
    readonly productId: string;
    readonly done: (status: RowRedrive) => void;
  }[] = [];

  constructor(options: SinkRunnerOptions) {
    this.#options = options;
    this.#batches = new BatchWriter(options);
    this.#attempts = new SinkAttempts({
      ...options,
      pauses: this.#pauses,
      onLost: () => {
        this.#position = undefined;
      },
    });
  }

  /** Runs until it is stopped, or drained. Never rejects. */
  async run(): Promise<void> {
    const { sink, stats } = this.#options;
    const pauses = this.#pauses;
    stats.state = 'connecting';
    while (!pauses.isStopping) {
      if (this.#position !== undefined && !(await this.#awaitChanges(this.#position))) break;
      await this.#attempts.round(() => this.#work());
      if (pauses.isDraining && this.#attempts.hasFailed) break;
    }
    await sink.close();
    stats.state = 'stopped';
  }

  /** Nothing more will be applied: writes what is left, without waiting for more, and ends. */
  drain(): void {
    this.#pauses.drain();
  }

  /** Writes the present state of a product again; resolves when the database has said what it thinks of it. */
  redrive(productId: string): Promise<RowRedrive> {
    return new Promise((done) => {
      this.#redrives.push({ productId, done });
      this.#pauses.wake();
    });
  }

  /** Products were forgotten without its having heard of it. */
  compare(comparison: number): void {
    this.#comparison = comparison;
    this.#pauses.wake();
  }

  /** Ends as soon as the call that is under way returns. */
  stop(): void {
    this.#pauses.stop();
  }

  /** Returns when there is something to do: false if it is to end. */
  async #awaitChanges(position: number): Promise<boolean> {
    const { applied, limits } = this.#options;
    const pauses = this.#pauses;
    if (pauses.isDraining) return applied.seq > position;
    if (this.#hasOrders) return true;
    if (applied.seq <= position) {
      const waiter = applied.whenApplied(position + 1, pauses.waker());
      await pauses.sleep(this.#beatMs);
      if (waiter !== undefined) applied.cancel(waiter);
      // Until just now it had everything.
      this.#options.stats.set('caughtUpMs', Date.now());
      if (pauses.isDraining || pauses.isStopping) return !pauses.isStopping;
      pauses.forget();
      if (applied.seq <= position) return true;
    }
    pauses.forget();
    this.#gatherUntilMs ??= performance.now() + limits.flushIntervalMs;
    const lookMs = Math.min(LOOK_MS_MAX, limits.flushIntervalMs);
    const beatMs = performance.now() + this.#beatMs;
    for (;;) {
      const leftMs = this.#gatherUntilMs - performance.now();
      if (applied.seq - position >= limits.batchSize || leftMs <= 0 || pauses.isDraining) break;
      if (pauses.isStopping) return false;
      if (this.#hasOrders || performance.now() >= beatMs) return true;
      await pauses.pause(Math.max(1, Math.min(lookMs, leftMs)));
    }
    this.#gatherUntilMs = undefined;
    return !pauses.isStopping;
  }

  get #hasOrders(): boolean {
    return this.#redrives.length > 0 || this.#comparison !== undefined;
  }

  get #beatMs(): number {
    return this.#options.beatMs ?? BEAT_MS;
  }

  async #beat(): Promise<void> {
    await this.#options.sink.beat();
    this.#beatenMs = performance.now();
  }

  /** Opens the sink if need be, and brings it up to what is applied. */
  async #work(): Promise<void> {
    const { applied } = this.#options;
    const position = this.#position ?? (await this.#open());
    // It takes long where there are many rows; what is not done by a drain is done after the next start.
    if (this.#comparison !== undefined && !this.#pauses.isDraining) {
      await this.#compare(this.#comparison, position);
    }
    await this.#redriveAll(position);
    const until = applied.seq;
    const isGathering = this.#gatherUntilMs !== undefined && !this.#pauses.isDraining;
    if (until > position && !isGathering) await this.#writeWindow(position, until);
    else await this.#beat();
  }

  async #open(): Promise<number> {
    const { sink, applied, stats, report, hold, isShared, timeline } = this.#options;
    const { position, newest } = await sink.open();
    if (position > applied.seq && isShared) {
      // One that is further is to have it, or this one a moment later.
      await sink.close();
      throw new SinkTakenError(`it has more than this instance, which is at seq ${applied.seq}`);
    }
    const last = Math.max(position, newest.seq);
    if (!isShared && last > applied.seq) {
      throw new SinkForeignError(
        `it has events up to seq ${last}, and the service only ${applied.seq}: it belongs to another or a later state of the data folder; see docs/sinks.md`,
      );
    }
    if (!isShared && eventOf(timeline, newest.seq).run !== newest.run) {
      throw new SinkForeignError(
        `it has events up to seq ${last} that this service never had: it belongs to another or a later state of the data folder, which went on otherwise; see docs/sinks.md`,
      );
    }
    this.#batches.goOnBehind(newest);
    this.#position = position;
    this.#gatherUntilMs = undefined;
    stats.set('position', position);
    if (stats.get('caughtUpMs') === 0) stats.set('caughtUpMs', Date.now());
    // Before it is held for: that is counted from here.
    stats.set('reachedMs', Date.now());
    stats.state = 'following';
    this.#comparison = await hold(position);
    report('info', `goes on behind seq ${position}, ${applied.seq - position} events to come`);
    return position;
  }

  async #compare(comparison: number, position: number): Promise<void> {
    const { sink, rows, limits, applied, stats, report, onCompared } = this.#options;
    stats.state = 'comparing';
    report('info', 'was away while products were forgotten: compares its rows');
    const options = {
      sink,
      rows,
      batches: this.#batches,
      batchSize: limits.batchSize,
      beat: async () => {
        if (performance.now() - this.#beatenMs >= this.#beatMs) await this.#beat();
      },
      goesOn: () => !this.#pauses.isStopping && !this.#pauses.isDraining,
    };
    const marked = await compareSink(options, applied.seq, position);
    stats.state = 'following';
    if (marked === undefined) return;
    report('info', `compared: ${marked} rows are of products that are gone`);
    if (this.#comparison === comparison) this.#comparison = undefined;
    onCompared(comparison);
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
      if (this.#pauses.isStopping) return;
    }
    this.#position = found.until;
    stats.set('position', found.until);
    if (found.until < applied) return;
    stats.set('caughtUpMs', startedMs);
    // So that what is hot gathers meanwhile, and a core stays half free.
    const rest = Math.min(performance.now() - startMs, limits.flushIntervalMs, this.#beatMs);
    await this.#pauses.pause(rest);
  }

  async #redriveAll(position: number): Promise<void> {
    const { rows, refused, applied } = this.#options;
    for (let redrive = this.#redrives[0]; redrive !== undefined; redrive = this.#redrives[0]) {
      const { productId, done } = redrive;
      const until = applied.seq;
      const row = rows.readId(productId);
      if (row === 'busy') {
        await nextTurn();
        continue;
      }
      // Forgotten: the sink may list it still, as it refused what came last.
      const present = row ?? forgottenRow(productId, until);
      await this.#batches.write([present], position, position);
      this.#redrives.shift();
      done(refused.isRefused(productId) ? 'refused' : 'written');
    }
  }
}
