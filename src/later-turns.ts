/**
 * Asking again on later turns of the event loop, for answers that are a matter of microseconds in
 * another thread (a busy entry, a reserved place). Main thread; never blocks it: one try per turn.
 */

/** How long a request may go on asking before it is answered with a 503. */
export const RETRY_MS_MAX = 1000;

/**
 * Calls `attempt` once per turn until it returns true (settled), and `giveUp` instead once
 * `RETRY_MS_MAX` has passed. What they throw goes to `onError`, once, and ends it.
 */
export function retryOnLaterTurns(
  attempt: () => boolean,
  giveUp: () => void,
  onError: (error: unknown) => void,
): void {
  const deadlineMs = performance.now() + RETRY_MS_MAX;
  const turn = (): void => {
    try {
      if (attempt()) return;
      if (performance.now() < deadlineMs) setImmediate(turn);
      else giveUp();
    } catch (error) {
      onError(error);
    }
  };
  setImmediate(turn);
}
