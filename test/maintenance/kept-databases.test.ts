/** History and dead letters in a backup of a running service, and in a repaired copy. */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { backup } from '../../src/maintenance/backup.ts';
import type { RepairReport } from '../../src/maintenance/repair-report.ts';
import { APPLIER_SOURCE, DeadLetters } from '../../src/sinks/dead-letters.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { folderState } from '../helpers/disks/folder-state.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommand } from '../helpers/processes/run-command.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const LETTERS = 'sinks/dead-letters.db';
const HISTORY = 'history.sqlite';
const EVENTS = 20;

async function start(t: Test, root: string) {
  const SINKS = `sqlite:${join(tempDir(t), 'products.db')}`;
  const { service, port } = await startReadyService(t, {
    ...{ DATA_DIR: root, HISTORY: 'forever', SINKS },
  });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const entries = async () => {
    const path = `/api/v1/products/a/history?min_seq=${EVENTS}&wait=30s`;
    return JSON.parse((await client.send('GET', path)).text).entries;
  };
  const letters = async () =>
    JSON.parse((await client.send('GET', '/api/v1/dead-letters')).text).letters;
  return { service, client, entries, letters };
}

/** A service with a history, and a letter of an applier; `close` ends the letters' connection. */
async function running(t: Test, root: string) {
  const started = await start(t, root);
  for (let n = 1; n <= EVENTS; n++) {
    const occurred_at = 1_700_000_000_000 + n;
    await started.client.post({ product_id: 'a', price: n, stock: 1, occurred_at });
  }
  const letters = new DeadLetters(join(root, LETTERS), 10);
  letters.put({
    ...{ source: APPLIER_SOURCE, productId: 'dead', seq: 3, content: '{"price":1}' },
    ...{ code: 'dead-event', reason: 'twice' },
  });
  return { ...started, close: () => letters.close() };
}

async function hasAll(t: Test, root: string): Promise<void> {
  const { service, entries, letters } = await start(t, root);
  t.match(await letters(), [{ source: 'applier', product_id: 'dead', seq: 3 }]);
  t.equal((await entries()).length, EVENTS);
  await service.stop();
}

function reportIn(to: string): RepairReport {
  return JSON.parse(readFileSync(join(to, 'repair-report.json'), 'utf8'));
}

t.test('a backup of a running service has them, and no sink of it', async (t) => {
  const root = join(tempDir(t), 'data');
  const { service, entries, close } = await running(t, root);
  await entries();
  const copy = join(tempDir(t), 'copy');
  backup(root, copy);
  close();
  await service.stop();
  t.ok(existsSync(join(root, 'sinks/identity')));
  t.notOk(existsSync(join(copy, 'sinks/identity')), 'it is another service to a sink');
  await hasAll(t, copy);
});

t.test('a repaired copy has them, with what stands in their write-ahead logs', async (t) => {
  const root = join(tempDir(t), 'data');
  const { service, entries, close } = await running(t, root);
  await entries();
  // As a crash leaves it: a letter that is in the write-ahead log alone.
  const crashed = join(tempDir(t), 'letters');
  for (const ending of ['', '-wal']) copyFileSync(join(root, LETTERS) + ending, crashed + ending);
  await service.stop();
  close();
  for (const ending of ['', '-wal']) copyFileSync(crashed + ending, join(root, LETTERS) + ending);
  const before = folderState(root);
  const to = join(tempDir(t), 'repaired');
  t.equal(runCommand('repair', root, '--to', to).code, 0);
  t.strictSame(folderState(root), before, 'the original is untouched');
  t.strictSame(reportIn(to).notCopied, []);
  t.equal(runCommand('verify', to).code, 0);
  await hasAll(t, to);
});

t.test('what of them is damaged is named, and not in the copy', async (t) => {
  const root = join(tempDir(t), 'data');
  const { service, entries, close } = await running(t, root);
  await entries();
  close();
  await service.stop();
  for (const name of [HISTORY, LETTERS]) {
    rmSync(`${join(root, name)}-wal`, { force: true });
    writeFileSync(join(root, name), 'no database at all');
  }
  const to = join(tempDir(t), 'repaired');
  const { code, text } = runCommand('repair', root, '--to', to);
  t.equal(code, 3);
  t.match(text, /^not copied {3}[^ ]+history\.sqlite: /m);
  t.match(text, /^not copied {3}[^ ]+dead-letters\.db: file is not a database$/m);
  t.match(reportIn(to), {
    isComplete: false,
    notCopied: [{ path: join(root, HISTORY) }, { path: join(root, LETTERS) }],
  });
  t.notOk(existsSync(join(to, HISTORY)));
  t.notOk(existsSync(join(to, LETTERS)));
  t.equal(runCommand('verify', to).code, 0);
});
