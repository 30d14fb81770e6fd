/** The lock removed by hand: a second start is refused all the same, and the running one takes it again. */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommand } from '../helpers/processes/run-command.ts';
import { startReadyService, startService } from '../helpers/processes/service-in-process.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const ENV = { MAX_MEMORY_USAGE: '16MB', SHARDS: '4', WORKERS: '2' };
const TAKEN_MS_MAX = 60_000;

async function running(t: Test) {
  const cwd = tempDir(t);
  const service = await ServiceProcess.start(t, { cwd, env: ENV });
  const client = new ApiClient(await service.ready());
  t.teardown(() => client.close());
  t.equal((await client.post({ product_id: 'a', price: 1, stock: 1 })).status, 202);
  return { cwd, service, client };
}

for (const names of [['lock'], ['log/lock'], ['lock', 'log/lock', 'holder.json']]) {
  t.test(`${names.join(' and ')} removed`, async (t) => {
    const { cwd, service, client } = await running(t);
    const paths = names.map((name) => join(cwd, 'data', name));
    for (const path of paths) rmSync(path);
    const second = ServiceProcess.spawn(t, { cwd, env: ENV });
    t.strictSame(await second.exit(), { code: 1, signal: null });
    t.match(second.stderr, `is held by process ${service.pid} on `);
    t.equal((await service.logged('removed by hand')).level, 50, 'the first one says so');
    await polled(() => paths.every(existsSync) || undefined, TAKEN_MS_MAX, 'the files to be back');
    t.throws(
      () => runCommand('repair', join(cwd, 'data'), '--to', join(cwd, 'copy')),
      new RegExp(`held by process ${service.pid} on `),
      'tools see it too',
    );
    t.equal((await client.post({ product_id: 'b', price: 1, stock: 1 })).status, 202, 'it goes on');
    await service.crash();
    const next = await ServiceProcess.start(t, { cwd, env: ENV });
    t.strictSame(await next.stop(), { code: 0, signal: null }, 'nothing is held behind a crash');
  });
}

t.test('whatever becomes of the files at once', async (t) => {
  const env = { DATA_DIR: tempDir(t) };
  await startReadyService(t, env);
  // In one process, so that no look comes between.
  const second = startService(t, env);
  await t.rejects(second, /is held by process/);
  for (const name of ['lock', 'log/lock', 'holder.json']) rmSync(join(env.DATA_DIR, name));
  await t.rejects(startService(t, env), new RegExp(`is held by process ${process.pid} on `));
});

t.test('another process that was faster: nothing more is written', async (t) => {
  const { cwd, service, client } = await running(t);
  const data = join(cwd, 'data');
  const log = () => readdirSync(join(data, 'log')).sort();
  const before = log();
  // As another container does, which the claim can't see: it has the one before the look for both.
  const others = join(cwd, 'lock');
  const other = new DatabaseSync(others);
  t.teardown(() => other.close());
  other.exec('BEGIN EXCLUSIVE');
  renameSync(others, join(data, 'lock'));
  rmSync(join(data, 'log/lock'));
  t.strictSame(await service.exit(), { code: 1, signal: null });
  const fatal = service.log.filter(({ level }) => level === 60);
  t.match(fatal, [{ reason: /its lock was removed by hand, and DATA_DIR .* is held by/ }]);
  t.equal(fatal.length, 1);
  await t.rejects(client.post({ product_id: 'b', price: 1, stock: 1 }));
  t.strictSame(
    log(),
    before.filter((name) => name !== 'lock'),
  );
  t.strictSame(readdirSync(join(data, 'checkpoint')), [], 'no checkpoint at its stop');
});
