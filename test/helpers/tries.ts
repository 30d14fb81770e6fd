/** What a test can't make sure, because the machine decides: it is tried again. Tests only. */

const TRIES_MAX = 10;

/** Tries, each time from the beginning, until `attempt` resolves to true; rejects if it never does. */
export async function tried(attempt: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < TRIES_MAX; tries++) if (await attempt()) return;
  throw new Error(`tried ${TRIES_MAX} times, and never: ${what}`);
}
