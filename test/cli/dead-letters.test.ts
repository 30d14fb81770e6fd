/** `dead-letters`: rows that a sink refuses, listed, sent again and thrown away. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommandLine } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 60_000;

t.test('list, redrive, delete', async (t) => {
  const cwd = tempDir(t);
  const path = join(cwd, 'products.db');
  const { service, port } = await startReadyService(t, {
    DATA_DIR: join(cwd, 'data'),
    SINKS: `sqlite:${path}`,
    BATCH_FLUSH_INTERVAL: '10ms',
  });
  await polled(
    () => (service.sinks.all[0]?.stats.state === 'following' ? true : undefined),
    WAIT_MS_MAX,
    'the schema',
  );
  const database = new DatabaseSync(path, { timeout: 10_000 });
  t.teardown(() => database.close());
  database.exec(`CREATE TRIGGER narrow BEFORE INSERT ON products WHEN NEW.stock > 990
    BEGIN SELECT RAISE(ABORT, 'stock is too high'); END`);
  const run = (...args: string[]) => runCommandLine(t, ['dead-letters', ...args], { cwd, port });
  t.strictSame(await run(), { code: 0, signal: null, stdout: '', stderr: '' });
  const events = ['a', 'b', 'c'].map((id) => `{"product_id":"${id}","price":1,"stock":991}\n`);
  await sendBatch(port, events.join(''), { query: '?ack=applied' });
  const listed = await polled(
    async () => {
      const { stdout } = await run('list', '--json');
      return stdout.split('\n').length === 4 ? stdout.trimEnd().split('\n') : undefined;
    },
    WAIT_MS_MAX,
    'three letters',
  );
  const letters = listed.map((line) => JSON.parse(line));
  t.match(letters[0], { source: 'sqlite', reason: 'stock is too high' });
  const ids: string[] = letters.map(({ id }) => String(id));
  const [a = '', ...others] = ids;
  t.match(
    (await run('--product', 'b')).stdout,
    /^\d+ {2}20[^ ]+ {2}sqlite {2}"b" seq \d+ {2}[^\n]+: "stock is too high"\n$/,
  );
  /** Redrives it until the sink has answered within the time in which somebody waits for that. */
  const redriven = (status: string) =>
    polled(
      async () => ((await run('redrive', a)).stdout === `${a}  ${status}\n` ? true : undefined),
      WAIT_MS_MAX,
      `${a} to be ${status}`,
    );
  await redriven('refused');
  t.match(await run('redrive', a), { code: 3 });
  // Somebody else holds the file: the sink can't be reached.
  database.exec('BEGIN IMMEDIATE');
  t.match(await run('redrive', a), {
    code: 4,
    stdout: `${a}  queued\n`,
    stderr: /1 letter waits for its sink/,
  });
  database.exec('ROLLBACK');
  await redriven('refused');
  database.exec('DROP TRIGGER narrow');
  t.match(await run('redrive', a), { code: 0, stdout: `${a}  written\n` });
  t.match(await run('redrive', a), { code: 3, stderr: /404/ });
  const removed = await run('delete', '--all', '--source', 'sqlite');
  t.match(removed, { code: 0, stdout: others.map((id) => `${id}  deleted\n`).join('') });
  t.match(await run(), { code: 0, stdout: '' });
  for (const args of [
    ['redrive'],
    ['delete', '1', '--all'],
    ['list', '1'],
    ['resend'],
    ['delete', 'x'],
  ]) {
    t.match(await run(...args), { code: 2 });
  }
});
