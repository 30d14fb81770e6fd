/**
 * Seeded numbers for tests. Every randomised test prints its seed, best in its name, so that a
 * failure can be run again: `SEED=… npx tap <file>`. Tests only.
 */

/** The seed of this run: SEED (or RANDOM_SEED) of the environment, else a fresh one. */
export function testSeed(): number {
  const given = process.env.SEED ?? process.env.RANDOM_SEED;
  return given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
}

/** Mulberry32: small, fast, good enough to pick test cases. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed = testSeed()) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** An integer in 0 … 2^32 − 1. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  }

  /** An integer in 0 … `limit` − 1. */
  below(limit: number): number {
    return Math.floor((this.word() / 2 ** 32) * limit);
  }

  /** A whole number from `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True with the chance `part` (0 … 1). */
  chance(part: number): boolean {
    return this.word() < part * 2 ** 32;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }

  /** A copy in random order (Fisher–Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const copy = [...items];
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [copy[i], copy[j]] = [copy[j], copy[i]];
    }
    return copy;
  }
}
