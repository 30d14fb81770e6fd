/** Waiting that an abort ends at once. Any thread with an event loop. */

/** Resolves after `ms`, or as soon as `signal` is aborted. Never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}

/**
 * Full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): a pause of 0 to
 * min(max, initial × 2^failures) ms, evenly distributed by `random` (0 … 1).
 */
export function backoffMs(
  failures: number,
  initialMs: number,
  maxMs: number,
  random: () => number = Math.random,
): number {
  return random() * Math.min(maxMs, initialMs * 2 ** Math.min(failures, 40));
}

/** So that others of this thread have theirs: orders, answers, timers. */
export function nextTurn(): Promise<void> {
  return new Promise(setImmediate);
}
