/** What `deadly-applier.ts` dies of, and the count of deaths that it shares with the test. */
import { setEnvironmentData } from 'node:worker_threads';

export const DEADLY_APPLIER = new URL('./deadly-applier.ts', import.meta.url);
export const DEADLY_ONCE = 666.25;
export const DEADLY_ALWAYS = 667.25;
export const DEATHS_KEY = 'test.deaths';

/** For the threads that are started from now on; gives the count. */
export function installDeaths(): () => number {
  const buffer = new SharedArrayBuffer(4);
  setEnvironmentData(DEATHS_KEY, buffer as unknown as string);
  return () => Atomics.load(new Int32Array(buffer), 0);
}
