/** Seeded random numbers, so that a failure can be run again: tests print their seed. */

export class Random {
  readonly seed: number;
  #state: number;

  /** The seed is RANDOM_SEED where that is set, else a new one. */
  constructor(seed = Number(process.env.RANDOM_SEED ?? (Date.now() ^ (process.pid << 16)) >>> 0)) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** 0 ≤ x < 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** A copy in random order (Fisher–Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const copy = [...items];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.integer(0, i);
      [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
    }
    return copy;
  }
}
