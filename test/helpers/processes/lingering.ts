/**
 * A test file whose tests are over ends at once, or says what keeps its process alive: a thread, a timer or a socket that
 * the service in it has left behind. Without that it would stand there until tap's time is over.
 */
import root from 'tap';

const LINGER_MS_MAX = 30_000;

/** Watches the end of this process's tests. Call once. */
export function watchForLingering(): void {
  root.teardown(() => {
    setTimeout(() => {
      const what = process.getActiveResourcesInfo().join(', ');
      process.stderr.write(`the tests are over, and these keep the process alive: ${what}\n`);
      process.exit(1);
    }, LINGER_MS_MAX).unref();
  });
}
