/**
 * Every figure that the service gives of itself: declared once, by whoever owns it, with the function
 * that reads it, which each scrape calls. Nothing is counted here, and nothing is held: counters stand
 * where things happen. Main thread. What is wrong about a declaration throws at the start.
 *
 * The texts are made by @prometheus-io/client (exposition.ts), which the first scrape loads.
 */
import assert from 'node:assert/strict';
import type { Exposition, ExpositionForm } from './exposition.ts';
import { assertBounds, type HistogramReading } from './histogram.ts';
import { type Series, seriesOf, together } from './series.ts';

/** Values of labels. The same object for the same series makes a scrape cheaper. */
export type Labels = Readonly<Record<string, string>>;

export interface MetricFacts {
  /** In base units: ends in `_total` for a counter, and in `_seconds`, `_bytes` or `_ratio` before that. */
  readonly name: string;
  /** One sentence, without a full stop. */
  readonly help: string;
  /** Names of the labels that each of its series has; none, unless given. */
  readonly labels?: readonly string[];
  /** What the series of several threads with the same labels are together; their sum, unless given. */
  readonly across?: 'sum' | 'greatest';
}

/** What other threads have of the same metrics. */
export interface OtherThreads {
  /** Asks them; resolves in any case, soon. */
  refresh(): Promise<void>;
  /** What they said, of the metric of this name. */
  series(name: string): readonly Series[];
}

/** Gives one series its value. */
export type Put = (value: number, labels?: Labels) => void;
/** The same of a histogram. */
export type PutHistogram = (reading: HistogramReading, labels?: Labels) => void;

/** Puts all series there are; awaited, so that it may ask another thread or a disk. */
export type Read<P> = (put: P) => void | Promise<void>;

export type DeclaredMetric = MetricFacts &
  (
    | { readonly type: 'counter' | 'gauge'; readonly read: Read<Put> }
    | {
        readonly type: 'histogram';
        /** How many of what is observed make a base unit: 1000 for ms. */
        readonly perUnit: number;
        readonly read: Read<PutHistogram>;
      }
  );

const NAME = /^[a-z]+(?:_[a-z0-9]+)+$/;
/** What a histogram's and the formats' own names end in. */
const TAKEN = /_(?:total|count|sum|bucket|created|info)$/;

export class MetricsRegistry {
  readonly #metrics = new Map<string, DeclaredMetric>();
  readonly #expositions = new Map<ExpositionForm, Exposition>();
  #others: OtherThreads | undefined;

  /** From now on what `others` have counts in. */
  join(others: OtherThreads): void {
    this.#others = others;
  }

  /** Something that only ever goes up, until the process ends. */
  counter(facts: MetricFacts, read: Read<Put>): void {
    assert.match(facts.name, /_total$/, 'a counter ends in _total');
    this.#declare({ ...facts, type: 'counter', read });
  }

  /** Something that goes up and down. */
  gauge(facts: MetricFacts, read: Read<Put>): void {
    assert.doesNotMatch(facts.name, TAKEN, 'a gauge does not end so');
    this.#declare({ ...facts, type: 'gauge', read });
  }

  /** A gauge that is always 1: what it says stands in its labels. */
  info(facts: MetricFacts, labels: Labels): void {
    assert.match(facts.name, /_info$/, 'an info ends in _info');
    const names = Object.keys(labels);
    this.#declare({ ...facts, labels: names, type: 'gauge', read: (put) => put(1, labels) });
  }

  histogram(facts: MetricFacts & { readonly perUnit: number }, read: Read<PutHistogram>): void {
    assert.doesNotMatch(facts.name, TAKEN, 'a histogram does not end so');
    this.#declare({
      ...facts,
      type: 'histogram',
      read: (put) =>
        read((reading, labels) => {
          assertBounds(reading.bounds);
          put(reading, labels);
        }),
    });
  }

  /** All that is declared, in the order in which it was. */
  get declared(): readonly DeclaredMetric[] {
    return [...this.#metrics.values()];
  }

  /** Hears what other threads have by now; before whoever reads what is declared by himself. */
  async refresh(): Promise<void> {
    await this.#others?.refresh();
  }

  /** Reads all metrics and gives them as text of this form. Rejects with what a `read` throws. */
  async text(form: ExpositionForm): Promise<string> {
    await this.refresh();
    let exposition = this.#expositions.get(form);
    if (exposition === undefined) {
      const { Exposition } = await import('./exposition.ts');
      exposition = new Exposition(this.declared, form);
      this.#expositions.set(form, exposition);
    }
    return exposition.text();
  }

  #declare(metric: DeclaredMetric): void {
    const { name, help } = metric;
    assert.match(name, NAME);
    assert.match(help, /^[A-Z].*[^.\n]$/, `${name}: its help is a sentence`);
    assert.ok(!this.#metrics.has(name), `${name} is declared once`);
    assert.equal(this.#expositions.size, 0, `${name} is declared before the first scrape`);
    this.#metrics.set(name, this.#joined(metric));
  }

  /** The same metric of all threads. */
  #joined(metric: DeclaredMetric): DeclaredMetric {
    if (metric.type === 'histogram') {
      const { read } = metric;
      return {
        ...metric,
        read: async (put: PutHistogram) => {
          if (this.#others === undefined) return read(put);
          for (const { labels, reading } of await this.#ofAll(metric)) {
            if (typeof reading !== 'number') put(reading, labels);
          }
        },
      };
    }
    const { read } = metric;
    return {
      ...metric,
      read: async (put: Put) => {
        if (this.#others === undefined) return read(put);
        for (const { labels, reading } of await this.#ofAll(metric)) {
          if (typeof reading === 'number') put(reading, labels);
        }
      },
    };
  }

  async #ofAll(metric: DeclaredMetric): Promise<readonly Series[]> {
    const others = this.#others?.series(metric.name) ?? [];
    return together([...(await seriesOf(metric)), ...others], metric.across);
  }
}
