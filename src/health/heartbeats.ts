/**
 * What shows that the event loops of the threads that serve HTTP go round: each counts up a word of its own, and the
 * watchdog looks whether it moves (progress-watch.ts). Nobody is asked, and nobody waits.
 *
 *   word 2i      beats of thread i: a timer of that thread counts them up
 *        2i + 1  is watched: 1 from its first beat on; the main thread writes 0 when the thread is no more
 */
import { lookEveryMs, type Work } from './progress-watch.ts';

/** A loop may come round so late at the least: a machine without CPU time is no reason to end a thread. */
const LIMIT_MS_MIN = 5_000;
const BEATS = 0;
const IS_WATCHED = 1;
const WORDS = 2;

export function createHeartbeats(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * WORDS * Int32Array.BYTES_PER_ELEMENT);
}

/** That thread: beats from now on, in time for a watch with this limit; keeps no thread alive. */
export function beat(memory: SharedArrayBuffer, thread: number, limitMs: number): void {
  const words = new Int32Array(memory);
  const at = thread * WORDS;
  Atomics.store(words, at + IS_WATCHED, 1);
  setInterval(() => Atomics.add(words, at + BEATS, 1), lookEveryMs(limitMs)).unref();
}

/** Main thread: that thread is no more. */
export function beatNoMore(memory: SharedArrayBuffer, thread: number): void {
  Atomics.store(new Int32Array(memory), thread * WORDS + IS_WATCHED, 0);
}

/** As the log and the lines of the watchdog call it. */
export function loopName(thread: number): string {
  return `http-${thread}`;
}

/** The loops of all but the main thread, for the watch. */
export function loopWork(memory: SharedArrayBuffer, limitMs: number): Work[] {
  const words = new Int32Array(memory);
  return Array.from({ length: words.length / WORDS - 1 }, (_, i): Work => {
    const at = (i + 1) * WORDS;
    return {
      name: loopName(i + 1),
      isLoop: true,
      limitMs: Math.max(limitMs, LIMIT_MS_MIN),
      pending: () => Atomics.load(words, at + IS_WATCHED),
      position: () => Atomics.load(words, at + BEATS),
    };
  });
}
