/** The service inside the test's own process, for tests that reach into it; stopped at the end. */
import { pino } from 'pino';
import type { Test } from 'tap';
import type { ServiceOptions } from '../../../src/assembly.ts';
import { type Environment, loadConfig } from '../../../src/config/load.ts';
import { Service } from '../../../src/service.ts';
import { watchServer } from '../api/described-answers.ts';
import type { LogLine } from './service-process.ts';

/**
 * A store for some ten thousand products is made much faster than the default one, and a disk that is
 * slow for a while under the tests beside must not change an answer.
 */
export const SMALL = {
  PORT: '0',
  MAX_MEMORY_USAGE: '16MB',
  SHARDS: '8',
  WORKERS: '2',
  STORAGE_TIMEOUT: '60s',
  SHUTDOWN_TIMEOUT: '60s',
};

export interface InProcess {
  readonly service: Service;
  readonly port: number;
  /** What it logged so far. */
  readonly logged: readonly LogLine[];
}

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
    config: loadConfig({ ...SMALL, ...env }),
    logger,
  });
  watchServer(service.http.server);
  t.teardown(async () => {
    await service.stop();
  });
  return { service, port: service.port, logged };
}

/** Starts it and waits until it is ready. */
export async function startReadyService(
  ...args: Parameters<typeof startService>
): Promise<InProcess> {
  const started = await startService(...args);
  await started.service.ready();
  return started;
}
