/** A checkpoint that can't be published costs nothing: writes go on, and the log has everything. */
import t from 'tap';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { faultsOf, type Tally, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { AttachedStrace } from '../helpers/processes/strace.ts';

const ENV = {
  MAX_MEMORY_USAGE: '16MB',
  WORKERS: '2',
  SHARDS: '4',
  CHECKPOINT_EVERY: '1MB',
  LOG_RETENTION: '0B',
  // The compile cache renames files of its own, at any time.
  NODE_DISABLE_COMPILE_CACHE: '1',
};
const FAILED = 'checkpoint failed; the log still has everything';
const FAILED_MS_MAX = 120_000;

t.test('a checkpoint that fails under load', async (t) => {
  const cwd = tempDir(t);
  const service = await ServiceProcess.start(t, { cwd, env: ENV });
  const port = await service.ready();
  // The log has its one segment, so the thread that renames is the checkpoint's.
  const disk = await AttachedStrace.attach(t, service.pid, ['rename:error=ENOSPC']);
  const ledger = new AckLedger();
  const tally: Tally = {};
  let isOver = false;
  const load = { connections: 40, products: 3, eventsMax: 1_000_000, isOver: () => isOver };
  const writing = write({ ...load, port, ledger, tally });
  const failed = await service.logged(FAILED, FAILED_MS_MAX);
  t.match(failed.reason, /^ENOSPC.*rename/);
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  t.equal((await client.get('/readyz')).status, 200, 'readiness stays green');
  isOver = true;
  await writing;
  t.comment('injected', disk.trace.injected, tally);
  // Once, or again where this test was held up.
  t.strictSame(Object.keys(disk.trace.injected), ['rename ENOSPC']);
  t.strictSame(Object.keys(tally), ['202'], 'every write was acknowledged');
  await service.crash();

  const again = await ServiceProcess.start(t, { cwd, env: ENV });
  t.strictSame(await faultsOf(ledger, await again.ready()), [], 'nothing is lost');
  t.strictSame(await again.stop(), { code: 0, signal: null });
  const verify = ServiceProcess.spawn(t, { cwd, args: ['verify', 'data'] });
  t.strictSame(await verify.exit(), { code: 0, signal: null }, verify.stderr);
});
