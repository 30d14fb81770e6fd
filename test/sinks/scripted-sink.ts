/**
 * A sink in memory that fails as its script says: the interleavings that no real database can be made to show
 * at will. Tests only.
 */
import type { ErrorClass, NewestEvent, ProductRow, Sink, SinkPlace } from '../../src/sinks/sink.ts';

/** What the next calls do, in order; then all succeed. */
export type Step =
  | 'ok'
  /** Fails, nothing written. */
  | ErrorClass
  /** Written, but the answer is lost. */
  | 'lost-answer'
  /** Never answers. */
  | 'hangs';

export class ScriptedError extends Error {
  readonly kind: ErrorClass;
  constructor(kind: ErrorClass) {
    super(`scripted ${kind}`);
    this.kind = kind;
  }
}

export class ScriptedSink implements Sink {
  readonly rows = new Map<string, ProductRow>();
  position = 0;
  newest: NewestEvent = { seq: 0, run: '' };
  /** Every call, in order: `open`, `close`, `beat`, or the write's ids and position. */
  readonly calls: string[] = [];
  opening: Step[] = [];
  writing: Step[] = [];
  listing: Step[] = [];
  /** Ids that are refused for their data. */
  readonly refused = new Set<string>();
  isOpen = false;

  async open(): Promise<SinkPlace> {
    this.calls.push('open');
    await this.#step(this.opening.shift());
    this.isOpen = true;
    return { position: this.position, newest: this.newest };
  }

  async write(rows: readonly ProductRow[], position: number, newest: NewestEvent): Promise<number> {
    if (!this.isOpen) throw new Error('it is not open');
    this.calls.push(`${rows.map(({ id }) => id).join(' ')} @${position}`);
    const step = this.writing.shift();
    if (step !== 'lost-answer') await this.#step(step);
    if (rows.some(({ id }) => this.refused.has(id))) throw new ScriptedError('validation');
    this.newest = newest;
    let written = 0;
    for (const row of rows) {
      if ((this.rows.get(row.id)?.seq ?? 0) >= row.seq) continue;
      this.rows.set(row.id, row);
      written++;
    }
    this.position = Math.max(this.position, position);
    if (step === 'lost-answer') throw new ScriptedError('retryable');
    return written;
  }

  async *listed(): AsyncIterable<readonly string[]> {
    this.calls.push('listed');
    await this.#step(this.listing.shift());
    for (const { id, price, stock } of [...this.rows.values()]) {
      if ((price ?? stock) !== null) yield [id];
    }
  }

  async beat(): Promise<void> {
    this.calls.push('beat');
  }

  classify(error: unknown): ErrorClass {
    return error instanceof ScriptedError ? error.kind : 'not-retryable';
  }

  async close(): Promise<void> {
    if (this.isOpen) this.calls.push('close');
    this.isOpen = false;
  }

  async #step(step: Step | undefined): Promise<void> {
    if (step === undefined || step === 'ok') return;
    if (step === 'hangs') await new Promise(() => undefined);
    throw new ScriptedError(step as ErrorClass);
  }
}
