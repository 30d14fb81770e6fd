/**
 * Where a thread of the write path sleeps until another one rings a bell. A function of its own, by
 * whose name profiles tell sleep from work (profiles/v8-profiles.ts): V8 samples both alike.
 */

/** Blocks until word `bell` of `words` is no longer `rung` and was notified, or `timeoutMs` have passed. */
export function sleepUntilRung(
  words: Int32Array,
  bell: number,
  rung: number,
  timeoutMs = Number.POSITIVE_INFINITY,
): void {
  Atomics.wait(words, bell, rung, timeoutMs);
}
