/** The history in a backup, made while the service writes both, and after a log that lost its end. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { backup } from '../../src/maintenance/backup.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const EVENTS = 300;

async function start(...[t, DATA_DIR]: [Parameters<typeof startReadyService>[0], string]) {
  const { service, port, logged } = await startReadyService(t, { DATA_DIR, HISTORY: 'forever' });
  const client = new ApiClient(port, 16);
  t.teardown(() => client.close());
  const post = (n: number) =>
    client.post({ product_id: 'a', price: n, stock: 1, occurred_at: 1_700_000_000_000 + n });
  const prices = async (seq: number): Promise<number[]> => {
    const path = `/api/v1/products/a/history?limit=10000&min_seq=${seq}&wait=30s`;
    const { entries } = JSON.parse((await client.send('GET', path)).text);
    return entries.map(({ value }: { value: number }) => value);
  };
  return { service, logged, post, prices };
}

t.test('a copy of a running service has what was acknowledged before, and no more', async (t) => {
  const folder = tempDir(t);
  const root = join(folder, 'data');
  const { service, post, prices } = await start(t, root);
  for (let n = 1; n <= EVENTS; n++) await post(n);
  await prices(EVENTS);
  backup(root, join(folder, 'copy'));
  for (let n = 1; n <= EVENTS; n++) await post(EVENTS + n);
  await service.stop();
  const copy = await start(t, join(folder, 'copy'));
  t.strictSame(
    await copy.prices(EVENTS),
    Array.from({ length: EVENTS }, (_, i) => i + 1),
  );
  await copy.post(9999);
  t.equal((await copy.prices(EVENTS + 1)).at(-1), 9999);
  await copy.service.stop();
});

t.test('a history that is ahead of the log is begun anew', async (t) => {
  const root = join(tempDir(t), 'data');
  const before = await start(t, root);
  for (let n = 1; n <= 9; n++) await before.post(n);
  await before.prices(9);
  await before.service.stop();
  for (const name of ['log', 'checkpoint']) rmSync(join(root, name), { recursive: true });
  const after = await start(t, root);
  await after.post(5);
  t.strictSame(await after.prices(1), [5]);
  t.ok(after.logged.some(({ msg }) => msg.includes('begun anew')));
  await after.service.stop();
});
