/**
 * SIGTERM while the storage fails and writes are waiting for it: they are told that their outcome
 * is unknown, the process exits in time and says by its code that it was not clean.
 */
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { faultsOf, type Tally, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { AttachedStrace } from '../helpers/processes/strace.ts';
import { readiness, sum, VERDICT_MS_MAX } from './verdicts.ts';

const ENV = {
  MAX_MEMORY_USAGE: '16MB',
  WORKERS: '2',
  STORAGE_TIMEOUT: '1m',
  // It waits for the disk until a fifth of it is left: longer than a machine stands still.
  SHUTDOWN_TIMEOUT: '20s',
};
const CONNECTIONS = 16;

t.test('a stop on a failing disk that writes wait for', async (t) => {
  const cwd = tempDir(t);
  const service = await ServiceProcess.start(t, { cwd, env: ENV });
  const port = await service.ready();
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const ledger = new AckLedger();
  const tally: Tally = {};
  const load = { connections: CONNECTIONS, products: 3, eventsMax: 1_000_000 };
  const writing = write({ ...load, port, ledger, tally });
  await polled(() => ledger.acknowledgements >= 200 || undefined, VERDICT_MS_MAX, 'some load');
  const disk = await AttachedStrace.attach(t, service.pid, ['fdatasync:error=EIO']);
  await readiness(client, 'red');
  service.kill('SIGTERM');
  t.strictSame(await service.exit(), { code: 1, signal: null }, 'it exits, not cleanly');
  await writing;
  t.comment('injected', disk.trace.injected, tally);
  t.ok((disk.trace.injected['fdatasync EIO'] ?? 0) > 0, 'the fault was injected');
  t.ok(sum(tally, '503 storage-unavailable unknown') > 0, 'who waited was told: unknown');
  t.strictSame(
    Object.keys(tally).filter(
      (outcome) => !/^(202$|503 storage-unavailable|503 stopping$|ECONNREFUSED$)/.test(outcome),
    ),
    [],
    'no connection was broken',
  );
  const told = service.log.map(({ msg }) => msg);
  t.ok(told.includes('stopped, but not all events that were claimed could be stored'));
  t.notOk(told.includes('stopping took longer than SHUTDOWN_TIMEOUT'), 'in time');

  const again = await ServiceProcess.start(t, { cwd, env: ENV });
  t.strictSame(await faultsOf(ledger, await again.ready()), [], 'nothing is lost');
  t.strictSame(await again.stop(), { code: 0, signal: null });
});

t.test('a stop on a failing disk with nothing waiting', async (t) => {
  const cwd = tempDir(t);
  const service = await ServiceProcess.start(t, { cwd, env: ENV });
  const client = new ApiClient(await service.ready());
  t.teardown(() => client.close());
  t.equal((await client.post({ product_id: 'p', price: 1, stock: 1 })).status, 202);
  const disk = await AttachedStrace.attach(t, service.pid, ['fdatasync:error=EIO']);
  t.strictSame(await service.stop(), { code: 0, signal: null }, 'clean: all is on disk');
  t.ok((disk.trace.injected['fdatasync EIO'] ?? 0) > 0, 'the fault was injected');

  const again = await ServiceProcess.start(t, { cwd, env: ENV });
  const reader = new ApiClient(await again.ready());
  t.teardown(() => reader.close());
  t.match(await reader.product('p'), { price: 1, stock: 1 });
  t.strictSame(await again.stop(), { code: 0, signal: null });
});
