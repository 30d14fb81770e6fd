/** The history's line among the checks of readiness: of every state, and of a service whose file is locked. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { historyChecks } from '../../src/history/history-health.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 60_000;
const NOW_MS = Date.UTC(2026, 0, 1);

t.test('says how far it is, and is never red', (t) => {
  const shown = (seq: number, caughtUpMs: number, failures = 0, isStandingBy = false) => {
    const history = { progress: { seq }, caughtUpMs, failures, isStandingBy };
    const [check] = historyChecks(history, 10, NOW_MS);
    t.equal(check?.ok, true);
    return `${check?.state}: ${check?.detail}`;
  };
  t.equal(shown(10, 0), 'following: 0 events behind, had everything never yet, 0 failed writes');
  t.match(shown(4, 0), /^catching-up: 6 events behind, had everything never yet/);
  t.match(shown(9, NOW_MS - 9_000), /^following: 1 events behind, had everything 2025-12-31T23:59/);
  t.match(shown(9, NOW_MS - 11_000, 3), /^behind: 1 events behind, .*, 3 failed writes$/);
  t.match(shown(11, NOW_MS), /^following: 0 /, 'it may be ahead of what was looked at');
  t.match(shown(10, NOW_MS, 0, true), /^standby: 0 /);
  t.match(shown(9, NOW_MS - 11_000, 0, true), /^behind: 1 /, 'whoever writes it');
  t.strictSame(historyChecks(undefined, 10, NOW_MS), [], 'none with HISTORY off');
  t.end();
});

t.test('a history whose file is locked leaves the service ready', async (t) => {
  const DATA_DIR = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR, HISTORY: '90d' });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const look = async () => {
    const answer = await client.get('/readyz?verbose');
    if (answer.status !== 200) throw new Error(`not ready: ${answer.text}`);
    const { checks } = JSON.parse(answer.text) as { checks: { name: string; detail?: string }[] };
    return checks.find(({ name }) => name === 'history')?.detail ?? '';
  };
  const until = (pattern: RegExp) =>
    polled(async () => pattern.exec(await look()) ?? undefined, WAIT_MS_MAX, String(pattern));
  await client.post({ product_id: 'a', price: 1, stock: 1 });
  await until(/^0 events behind, had everything 20/);
  const lock = new DatabaseSync(join(DATA_DIR, 'history.sqlite'), { timeout: 10_000 });
  lock.exec('BEGIN IMMEDIATE');
  await client.post({ product_id: 'a', price: 2, stock: 1 });
  await until(/^1 events behind, .*, [1-9]\d* failed writes$/);
  lock.exec('ROLLBACK');
  lock.close();
  await until(/^0 events behind/);
});
