/**
 * The service in a process of its own, whose threads its parent may kill: started like main.ts, with
 * messages in place of signals.
 *
 *   log, applier   that thread is terminated, as a crash would; answered when it is gone
 *   stop           ends the service
 */
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { loadConfig } from '../../src/config/load.ts';
import { Service } from '../../src/service.ts';

export type SoakOrder = 'log' | 'applier' | 'stop';

/** Threads with a name are no appliers. */
const alive = new Set<Worker>();
process.on('worker', (thread: Worker) => {
  alive.add(thread);
  thread.once('exit', () => alive.delete(thread));
});

function victim(order: SoakOrder): Worker | undefined {
  return [...alive].find(({ threadName }) =>
    order === 'log' ? threadName === 'log' : threadName?.startsWith('WorkerThread'),
  );
}

const config = loadConfig(process.env);
const service = await Service.start({ config, logger: pino({ level: 'error' }) });
await service.ready();

async function obey(order: SoakOrder): Promise<boolean> {
  if (order === 'stop') return service.stop();
  const thread = victim(order);
  await thread?.terminate();
  return thread !== undefined;
}

process.on('message', (order: SoakOrder) => {
  void obey(order).then((isDone) => {
    process.send?.(isDone);
    if (order === 'stop') process.disconnect();
  });
});
process.stdout.write(`ready on http://${config.host}:${service.port}\n`);
