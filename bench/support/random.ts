/**
 * Seeded random numbers for benches: mulberry32 (Tommy Ettinger, public domain). Any thread; pure.
 * The same seed gives the same numbers on every machine.
 */

/** Makes a generator of whole numbers 0 … 2^32−1. */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
