/** The service inside the test's own process, for tests that reach into it; stopped at the end. */
import { pino } from 'pino';
import type { Test } from 'tap';
import type { ServiceOptions } from '../../../src/assembly.ts';
import { type Environment, loadConfig } from '../../../src/config/load.ts';
import { Service } from '../../../src/service.ts';
import { watchServer } from '../api/described-answers.ts';
import { bounded } from '../bounded.ts';
import { watchForLingering } from './lingering.ts';
import type { LogLine } from './service-process.ts';

const STEP_MS_MAX = 120_000;
/** Of what it logged, in an error. */
const LINES_SHOWN = 20;

/**
 * A store for some ten thousand products is made much faster than the default one, and a disk or a machine that
 * is slow for a while under the tests beside must not change an answer.
 */
export const SMALL = {
  PORT: '0',
  MAX_MEMORY_USAGE: '16MB',
  SHARDS: '8',
  WORKERS: '2',
  STORAGE_TIMEOUT: '60s',
  SHUTDOWN_TIMEOUT: '60s',
  STALL_TIMEOUT: '60s',
};

/** How many threads serve HTTP where a test doesn't say: the whole suite can be run with several. */
const { TEST_HTTP_THREADS } = process.env;
export const HTTP_THREADS: { readonly HTTP_THREADS?: string } =
  TEST_HTTP_THREADS === undefined ? {} : { HTTP_THREADS: TEST_HTTP_THREADS };

export interface InProcess {
  readonly service: Service;
  readonly port: number;
  /** What it logged so far. */
  readonly logged: readonly LogLine[];
}

watchForLingering();

/** Starts it; it listens when this resolves and may not be ready yet. */
export async function startService(
  t: Test,
  env: Environment & { readonly DATA_DIR: string },
  options: Omit<ServiceOptions, 'config' | 'logger'> = {},
): Promise<InProcess> {
  const logged: LogLine[] = [];
  const write = (line: string) => void logged.push(JSON.parse(line));
  const logger = pino({ level: 'info' }, { write });
  const service = await Service.start({
    ...options,
    config: loadConfig({ ...SMALL, ...HTTP_THREADS, ...env }),
    logger,
  });
  watchServer(service.http.server);
  t.teardown(async () => {
    await inTime(service.stop(), 'to stop', logged);
  });
  return { service, port: service.port, logged };
}

/** Starts it and waits until it is ready. */
export async function startReadyService(
  ...args: Parameters<typeof startService>
): Promise<InProcess> {
  const started = await startService(...args);
  await inTime(started.service.ready(), 'to be ready', started.logged);
  return started;
}

/** A thread that hangs is told by what the service said last, not by the end of the test's time. */
async function inTime<T>(step: Promise<T>, what: string, logged: readonly LogLine[]): Promise<T> {
  try {
    return await bounded(step, STEP_MS_MAX, `the service ${what}`);
  } catch (error) {
    const said = logged.slice(-LINES_SHOWN).map(({ msg }) => msg);
    throw new Error(`${(error as Error).message}; it said ${said.join(' | ')}`, { cause: error });
  }
}
