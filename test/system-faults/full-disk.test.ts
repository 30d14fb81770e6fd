/**
 * A disk that is really full, without and with DISK_RESERVE: writes are refused and reads go on, it
 * comes back by itself when there is room again, and nothing that was acknowledged is lost.
 */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { troubleShown } from '../helpers/api/troubleshooting.ts';
import { polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { faultsOf, type Tally, write } from '../helpers/clients/writers.ts';
import { SmallDisk } from '../helpers/disks/small-disk.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { underStrace } from '../helpers/processes/strace.ts';
import { readiness, refusedWrites, sum, VERDICT_MS_MAX } from './verdicts.ts';

const MB = 1 << 20;
const UNKNOWN = '503 storage-unavailable unknown';

/** A service under load, until told, on a disk of `bytes` of which `left` are free at its start. */
async function fillingUp(t: Test, bytes: number, left: number, own: Record<string, string>) {
  const disk = new SmallDisk(t, bytes);
  disk.leave(left);
  const env = {
    DATA_DIR: join(disk.path, 'data'),
    MAX_MEMORY_USAGE: '16MB',
    WORKERS: '2',
    SEGMENT_SIZE: '1MB',
    ...own,
  };
  const cwd = tempDir(t);
  const { under, trace } = underStrace(t, []);
  const service = await ServiceProcess.start(t, { cwd, env, under });
  const port = await service.ready();
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const ledger = new AckLedger();
  const tally: Tally = {};
  let isOver = false;
  const writing = write({
    port,
    ledger,
    connections: 40,
    products: 3,
    eventsMax: 1_000_000,
    tally,
    isOver: () => isOver,
  });
  const rest = async () => {
    isOver = true;
    await writing;
  };
  return { disk, env, cwd, service, trace, client, port, ledger, tally, rest };
}

t.test('without a reserve, to the last byte', async (t) => {
  const { disk, env, cwd, service, trace, client, port, ledger, tally, rest } = await fillingUp(
    t,
    4 * MB,
    0.625 * MB,
    { STORAGE_TIMEOUT: '300ms', DISK_RESERVE: '0B' },
  );
  await readiness(client, 'red');
  const { reason, msg } = await service.logged('log: storage unavailable');
  t.match(msg, troubleShown('The disk is slow or fails'));
  t.match(reason, /ENOSPC/);
  await refusedWrites(t, client);
  t.equal((await client.get('/api/v1/products/lane%200%2F0')).status, 200, 'reads go on');
  await polled(() => sum(tally, UNKNOWN) > 0 || undefined, VERDICT_MS_MAX, 'writes to be let go');
  t.ok(disk.freeBytes < MB / 16, `${disk.freeBytes} bytes were left`);
  t.ok(trace.fullDisk > 0, `${trace.fullDisk} calls found the disk full`);
  t.ok(trace.shortWrites > 0, `${trace.shortWrites} writes were short`);

  const before = ledger.acknowledgements;
  disk.free();
  await readiness(client, 'green');
  await polled(
    () => ledger.acknowledgements >= before + 100 || undefined,
    VERDICT_MS_MAX,
    'acknowledgements once there is room',
  );
  await rest();
  await client.allApplied();
  t.comment(tally);
  t.strictSame(
    Object.keys(tally).sort(),
    ['202', '503 storage-unavailable', UNKNOWN],
    'nothing else was answered',
  );
  t.strictSame(await faultsOf(ledger, port), [], 'what was acknowledged is there, no more');

  // Full again, and crashed: it starts on the full disk and reads are served.
  disk.leave(0);
  await service.crash();
  const onFull = await ServiceProcess.start(t, { cwd, env });
  t.strictSame(await faultsOf(ledger, await onFull.ready()), [], 'nor on the full disk');
  const reader = new ApiClient(await onFull.ready());
  t.teardown(() => reader.close());
  disk.free();
  await polled(
    async () =>
      (await reader.post({ product_id: 'p', price: 1, stock: 1 })).status === 202 || undefined,
    VERDICT_MS_MAX,
    'a write once there is room',
  );
  t.strictSame(await onFull.stop(), { code: 0, signal: null }, 'it stops cleanly');
});

t.test('with a reserve, before the disk is full', async (t) => {
  const { disk, env, cwd, service, trace, client, port, ledger, tally, rest } = await fillingUp(
    t,
    48 * MB,
    48 * MB,
    { STORAGE_TIMEOUT: '60s', DISK_RESERVE: '24MB' },
  );
  await polled(() => ledger.acknowledgements >= 100 || undefined, VERDICT_MS_MAX, 'some load');
  disk.leave(20 * MB);
  const { msg } = await service.logged('disk: less room than DISK_RESERVE');
  t.match(msg, troubleShown('The disk is full'));
  await readiness(client, 'red');
  await refusedWrites(t, client);
  t.strictSame(await faultsOf(ledger, port), [], 'reads go on');
  t.ok(disk.freeBytes > 12 * MB, `${disk.freeBytes} bytes are left`);
  t.equal(trace.fullDisk, 0, 'no call found the disk full');

  disk.free();
  await service.logged('disk: enough room again');
  await readiness(client, 'green');
  const before = ledger.acknowledgements;
  await polled(
    () => ledger.acknowledgements >= before + 100 || undefined,
    VERDICT_MS_MAX,
    'acknowledgements once there is room',
  );
  disk.leave(12 * MB);
  await readiness(client, 'red');
  await rest();
  t.comment(tally);
  t.strictSame(
    Object.keys(tally).sort(),
    ['202', '503 storage-unavailable'],
    'each write was acknowledged or refused for good',
  );
  t.strictSame(await service.stop(), { code: 0, signal: null }, 'it stops cleanly in the reserve');
  t.equal(service.stderr, '');

  const again = await ServiceProcess.start(t, { cwd, env });
  t.strictSame(await faultsOf(ledger, await again.ready()), [], 'and after a restart');
  t.strictSame(await again.stop(), { code: 0, signal: null });
});
