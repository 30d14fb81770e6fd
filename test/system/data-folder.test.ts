/** One data folder, one holder: a second process is told who it is, a crashed one holds nothing. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { DataDirError } from '../../src/log/data-dir.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService, startService } from '../helpers/processes/service-in-process.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

t.test('a second process on the same folder', async (t) => {
  const cwd = tempDir(t);
  const holder = await ServiceProcess.start(t, { cwd });
  const second = ServiceProcess.spawn(t, { cwd });
  t.strictSame(await second.exit(), { code: 1, signal: null }, 'it does not start');
  t.match(second.stderr, /^product-service: [^\n]*DATA_DIR[^\n]*\n$/, 'and says why in one line');
  t.match(second.stderr, new RegExp(`process ${holder.pid} on `), 'naming the holder');

  const client = new ApiClient(await holder.ready());
  t.teardown(() => client.close());
  const { status } = await client.post({ product_id: 'a', price: 1, stock: 1 });
  t.equal(status, 202, 'the holder goes on');

  await holder.crash();
  const third = await ServiceProcess.start(t, { cwd });
  const later = new ApiClient(await third.ready());
  t.teardown(() => later.close());
  t.match(await later.product('a'), { price: 1, stock: 1 }, 'a successor starts, with the data');
  t.strictSame(await third.stop(), { code: 0, signal: null });
});

t.test('two services of one process', async (t) => {
  const env = { DATA_DIR: tempDir(t) };
  const { service } = await startReadyService(t, env);
  await t.rejects(startService(t, env), DataDirError, 'can not have the same folder');
  const other = await startReadyService(t, { DATA_DIR: tempDir(t) });
  t.not(other.port, service.port, 'but run side by side in two');
  t.equal(await service.stop(), true);
  const again = await startReadyService(t, env);
  t.equal(again.service.phase, 'ready', 'a stopped one lets go of its folder');
});

t.test(
  'a file in it that can not be read ends the start, as long as nothing is taken',
  async (t) => {
    const cwd = tempDir(t);
    mkdirSync(join(cwd, 'data', 'sinks'), { recursive: true });
    const path = join(cwd, 'data', 'sinks', 'followed');
    writeFileSync(path, 'none of ours');
    const service = ServiceProcess.spawn(t, { cwd });
    t.strictSame(await service.exit(), { code: 1, signal: null });
    t.match(
      service.stderr,
      /^product-service: [^\n]*sinks\/followed[^\n]*\n$/,
      'which one, in one line',
    );
    t.notMatch(service.stdout, /ready on/);
  },
);
