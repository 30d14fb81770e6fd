/**
 * The folder is renamed, or another one put in its place, while the service runs: it stops, and not a
 * byte of it gets into the folder of another service.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommand } from '../helpers/processes/run-command.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { tried } from '../helpers/tries.ts';

const ENV = { MAX_MEMORY_USAGE: '16MB', SHARDS: '4', WORKERS: '2', SEGMENT_SIZE: '1MB' };

async function started(t: Test, cwd: string, id: string) {
  const service = await ServiceProcess.start(t, { cwd, env: ENV });
  const client = new ApiClient(await service.ready());
  t.teardown(() => client.close());
  t.equal((await client.post({ product_id: id, price: 1, stock: 1 })).status, 202);
  return { service, client };
}

/** It says why in one fatal line and ends, not as if all were well. */
async function gaveUp(t: Test, service: ServiceProcess): Promise<void> {
  t.strictSame(await service.exit(), { code: 1, signal: null });
  const fatal = service.log.filter(({ level }) => level === 60);
  t.equal(fatal.length, 1, 'one fatal line');
  t.match(fatal[0]?.reason, /is not the folder that this service runs on any more/);
}

async function serves(t: Test, cwd: string, ids: readonly string[]): Promise<void> {
  const { service, client } = await started(t, cwd, 'new');
  for (const id of ids) t.match(await client.product(id), { price: 1 }, id);
  t.strictSame(await service.stop(), { code: 0, signal: null });
}

t.test('renamed, and a second service in its place', async (t) => {
  const cwd = tempDir(t);
  const data = join(cwd, 'data');
  const first = await started(t, cwd, 'a');
  renameSync(data, `${data}.old`);
  // As many events as there is time for: some of them in fresh segments.
  const port = await first.service.ready();
  const line = `${JSON.stringify({ product_id: 'bulk', price: 1, stock: 1 })}\n`;
  const load = fetch(`http://127.0.0.1:${port}/api/v1/events/batch?on_error=continue`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: line.repeat(30_000),
  }).then(
    ({ status }) => status,
    () => 'cut off',
  );
  const second = await started(t, cwd, 'b');
  await gaveUp(t, first.service);
  t.comment(`the batch: ${await load}`);
  t.equal((await second.client.post({ product_id: 'c', price: 1, stock: 1 })).status, 202);
  t.strictSame(await second.service.stop(), { code: 0, signal: null });
  for (const folder of [data, `${data}.old`]) t.equal(runCommand('verify', folder).code, 0, folder);
  await serves(t, cwd, ['b', 'c']);
  rmSync(data, { recursive: true });
  renameSync(`${data}.old`, data);
  await serves(t, cwd, ['a']);
});

/** Ways in which DATA_DIR, or a part of it, becomes another folder. */
const CHANGES: Record<string, (data: string, backup: string) => void> = {
  'renamed and nothing in its place': (data) => renameSync(data, `${data}.old`),
  'a backup put in its place': (data, backup) => {
    renameSync(data, `${data}.old`);
    cpSync(backup, data, { recursive: true });
  },
  'a backup put in the place of a deleted one': (data, backup) => {
    rmSync(data, { recursive: true });
    renameSync(backup, data);
  },
  'its log replaced': (data, backup) => {
    cpSync(join(backup, 'log'), join(data, 'log.new'), { recursive: true });
    renameSync(join(data, 'log'), join(data, 'log.old'));
    renameSync(join(data, 'log.new'), join(data, 'log'));
  },
};

/**
 * Changes it; false where the service looked between two steps, and found files deleted: what becomes of that is in
 * folder-removed.test.ts.
 */
async function changed(service: ServiceProcess, change: () => void): Promise<boolean> {
  const isDeletion = () => service.log.some(({ msg }) => msg.includes('files were deleted'));
  try {
    change();
  } catch (error) {
    // The service has made the folder again.
    await service.logged('files were deleted').catch(() => undefined);
    if (!isDeletion()) throw error;
  }
  await Promise.race([service.exited, service.logged('files were deleted').catch(() => undefined)]);
  if (isDeletion()) await service.crash();
  return !isDeletion();
}

for (const [name, change] of Object.entries(CHANGES)) {
  t.test(name, async (t) => {
    let world = { cwd: '', data: '' };
    await tried(async () => {
      const cwd = tempDir(t);
      const data = join(cwd, 'data');
      world = { cwd, data };
      const backup = join(cwd, 'backup');
      const { service } = await started(t, cwd, 'a');
      t.equal(runCommand('backup', data, '--to', backup).code, 0);
      if (!(await changed(service, () => change(data, backup)))) return false;
      await gaveUp(t, service);
      return true;
    }, 'a change between two looks');
    const { cwd, data } = world;
    if (name.includes('backup')) {
      t.strictSame(readdirSync(data).sort(), ['checkpoint', 'log'], 'nothing was added to it');
      await serves(t, cwd, ['a']);
    } else if (name.startsWith('renamed')) {
      t.strictSame(readdirSync(cwd).sort(), ['backup', 'data.old'], 'none was made');
      renameSync(`${data}.old`, data);
      await serves(t, cwd, ['a']);
    }
  });
}

t.test('a link that is turned to another folder', async (t) => {
  const cwd = tempDir(t);
  mkdirSync(join(cwd, 'one'));
  mkdirSync(join(cwd, 'two'));
  symlinkSync('one', join(cwd, 'data'));
  const { service } = await started(t, cwd, 'a');
  execFileSync('ln', ['-sfn', 'two', 'data'], { cwd });
  // An empty folder is no proof of a mistake, but this service's own is still there.
  await gaveUp(t, service);
  t.strictSame(readdirSync(join(cwd, 'two')), []);
  unlinkSync(join(cwd, 'data'));
  symlinkSync('one', join(cwd, 'data'));
  await serves(t, cwd, ['a']);
});
