/**
 * What the other threads that serve HTTP have counted, as they said it last. Main thread. A counter never goes
 * back: what a thread that died had said stays counted, what it had not said is never counted.
 */
import { type Series, type SeriesByMetric, together } from '../metrics/series.ts';

/** These begin at 0 with each thread, and so does its name. */
const OF_THE_THREAD = 'thread';

export class ThreadSeries {
  readonly #alive = new Map<number, SeriesByMetric>();
  #ended: SeriesByMetric = {};

  /** Thread `index` says this. */
  note(index: number, series: SeriesByMetric): void {
    this.#alive.set(index, series);
  }

  /** Thread `index` is no more. */
  ended(index: number): void {
    const last = this.#alive.get(index);
    this.#alive.delete(index);
    if (last === undefined) return;
    const ended: Record<string, readonly Series[]> = {};
    for (const name of new Set([...Object.keys(last), ...Object.keys(this.#ended)])) {
      if (isKept(name))
        ended[name] = together([
          ...(this.#ended[name] ?? []),
          ...(last[name] ?? []).filter(isOfAll),
        ]);
    }
    this.#ended = ended;
  }

  of(name: string): readonly Series[] {
    const alive = [...this.#alive.values()].flatMap((series) => series[name] ?? []);
    return [...(this.#ended[name] ?? []), ...alive];
  }
}

/** A gauge is what there is now. */
function isKept(name: string): boolean {
  return /_(?:total|seconds)$/.test(name);
}

function isOfAll({ labels }: Series): boolean {
  return !(OF_THE_THREAD in labels);
}
