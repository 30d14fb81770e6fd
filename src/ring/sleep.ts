/**
 * Where a thread of the write path sleeps until another one rings a bell. A function of its own, by
 * whose name profiles know sleep from work (profiles/v8-profiles.ts): V8 samples both alike.
 */
import { INTAKE_DOORBELL, INTAKE_STOP } from './intake-ring.ts';

/** Blocks until word `bell` of `words` is no longer `rung` and was notified, or `timeoutMs` have passed. */
export function sleepUntilRung(
  words: Int32Array,
  bell: number,
  rung: number,
  timeoutMs = Number.POSITIVE_INFINITY,
): void {
  Atomics.wait(words, bell, rung, timeoutMs);
}

/** Blocks for `ms`, bells or not; false as soon as the intake's stop word is set. For the log thread. */
export function sleepUnlessStopped(cursors: Int32Array, ms: number): boolean {
  const until = performance.now() + ms;
  for (;;) {
    const bell = Atomics.load(cursors, INTAKE_DOORBELL);
    if (Atomics.load(cursors, INTAKE_STOP) === 1) return false;
    const leftMs = until - performance.now();
    if (leftMs <= 0) return true;
    sleepUntilRung(cursors, INTAKE_DOORBELL, bell, leftMs);
  }
}
