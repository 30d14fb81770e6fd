/**
 * Reads Prometheus' text format, version 0.0.4, as far as `/metrics` writes it: names, labels, values. Pure.
 */

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** What one look at a service's metrics has found. */
export class Sample {
  /** When, ms. */
  readonly atMs: number;
  readonly #series = new Map<string, Series[]>();

  constructor(text: string, atMs: number) {
    this.atMs = atMs;
    for (const line of text.split('\n')) {
      const [, name, labelText = '', value] = LINE.exec(line) ?? [];
      if (name === undefined) continue;
      const labels: Record<string, string> = {};
      for (const [, key, quoted] of labelText.matchAll(LABEL)) labels[key] = unescaped(quoted);
      const found = this.#series.get(name) ?? [];
      found.push({ labels, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) });
      this.#series.set(name, found);
    }
  }

  /** All series of that name; none if it has none. */
  all(name: string): readonly Series[] {
    return this.#series.get(name) ?? [];
  }

  /** The sum of the series that have these labels; `undefined` if there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const wanted = Object.entries(labels);
    const found = this.all(name).filter((series) =>
      wanted.every(([key, value]) => series.labels[key] === value),
    );
    return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
  }
}

/** How much a counter has grown in a second; `undefined` if it isn't there, or began anew. */
export function rate(
  before: Sample,
  now: Sample,
  name: string,
  labels?: Readonly<Record<string, string>>,
): number | undefined {
  const [from, to] = [before.sum(name, labels), now.sum(name, labels)];
  if (from === undefined || to === undefined || to < from) return undefined;
  return ((to - from) * 1000) / Math.max(1, now.atMs - before.atMs);
}

/**
 * The quantile of what a histogram has seen between two samples, between the bounds of its bucket as if it
 * were spread evenly there; `undefined` if it has seen nothing.
 */
export function quantile(before: Sample, now: Sample, name: string, q: number): number | undefined {
  const counts = new Map<number, number>();
  for (const [sample, sign] of [
    [before, -1],
    [now, 1],
  ] as const) {
    for (const { labels, value } of sample.all(`${name}_bucket`)) {
      const bound = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
      counts.set(bound, (counts.get(bound) ?? 0) + sign * value);
    }
  }
  const buckets = [...counts].sort(([a], [b]) => a - b);
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total <= 0) return undefined;
  const wanted = q * total;
  let below = 0;
  let lower = 0;
  for (const [bound, count] of buckets) {
    if (count >= wanted) {
      if (bound === Number.POSITIVE_INFINITY) return lower;
      const share = count === below ? 1 : (wanted - below) / (count - below);
      return lower + share * (bound - lower);
    }
    below = count;
    lower = bound;
  }
  return lower;
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, unit: string) => (unit === 'n' ? '\n' : unit));
}
