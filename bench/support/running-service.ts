/**
 * The service that load-test and perf-test are pointed at: it runs already, and is not theirs to
 * start or stop. URL from the first argument, else SERVICE_URL, else the default port.
 */

const URL_DEFAULT = 'http://127.0.0.1:8080';
const ANSWER_MS_MAX = 5000;

/** Its URL, once it answers; otherwise one line on standard error and exit code 1. */
export async function findService(): Promise<string> {
  const given = process.argv.slice(2).find((argument) => !argument.startsWith('--'));
  const url = (given ?? process.env.SERVICE_URL ?? URL_DEFAULT).replace(/\/+$/, '');
  const fault = await askReady(url);
  if (fault === undefined) return url;
  process.stderr.write(
    `no service at ${url}: ${fault}; start it with "make run", or give its URL\n`,
  );
  process.exit(1);
}

async function askReady(url: string): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const { status } = await fetch(`${url}/readyz`, { signal });
    return status === 200 ? undefined : `/readyz answered ${status}`;
  } catch (error) {
    const { cause } = error as Error;
    return cause instanceof Error ? causeText(cause) : (error as Error).message;
  }
}

function causeText(cause: Error & { code?: string }): string {
  return cause.code ?? cause.message;
}
