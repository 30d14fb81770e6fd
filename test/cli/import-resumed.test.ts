/**
 * An import that is cut off: killed, interrupted, its service restarted or full. The same command goes on and
 * ends in the same state. A proxy before the real service counts batches, and refuses, holds or breaks them where
 * the test wants it.
 */
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { BatchProxy, type Fate } from '../helpers/clients/batch-proxy.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommandLine, startCommand } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { freePort } from '../helpers/servers/free-port.ts';

const WAIT_MS_MAX = 60_000;
/** Some four batches. */
const ROWS = 150_000;
const PRODUCTS = 5_000;

/** A table of so many rows: each product several times, the last row counts. */
function table(rows: number): string {
  const lines = ['sku,price,stock'];
  for (let i = 0; i < rows; i++) lines.push(`p${i % PRODUCTS},${(i % 977) + 0.25},${i}`);
  return `${lines.join('\n')}\n`;
}

async function isImported(t: Test, port: number, rows: number): Promise<void> {
  const first = rows - PRODUCTS;
  for (const i of [first, first + 1234, rows - 1]) {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/products/p${i % PRODUCTS}`);
    t.strictSame(await answer.json(), {
      id: `p${i % PRODUCTS}`,
      price: (i % 977) + 0.25,
      stock: i,
    });
  }
}

const journals = (home: string) => {
  const folder = join(home, '.local/state/product-service');
  return existsSync(folder) ? readdirSync(folder) : [];
};

t.test('killed in the middle, it goes on behind what was answered', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
  const proxy = await BatchProxy.start(t, port);
  writeFileSync(join(cwd, 'feed.csv'), table(ROWS));
  const options = { cwd, port: proxy.port, env: { HOME: cwd } };
  proxy.fate = (batch) => (batch === 3 ? 'hold' : 'pass');
  const first = startCommand(t, ['import', 'feed.csv'], options);
  await polled(() => (proxy.keys.length === 3 ? true : undefined), WAIT_MS_MAX, 'the third batch');
  first.kill('SIGKILL');
  await first.end;
  t.equal(journals(cwd).length, 1);

  const second = await runCommandLine(t, ['import', 'feed.csv'], options);
  t.match(second, { code: 0, stderr: /going on where the try of .* ended, 2 batches on\n/ });
  t.match(second.stdout, /feed\.csv: 150,000 taken, 0 refused;/);
  const [, answered, held] = proxy.keys;
  t.strictSame(
    proxy.keys.slice(3, 5),
    [answered, held],
    'the last answered one, to be sure; then it goes on',
  );
  t.equal(new Set(proxy.keys).size, proxy.keys.length - 2, 'and none of those before');
  await isImported(t, port, ROWS);
  t.strictSame(journals(cwd), [], 'nothing is left of it');
});

t.test('an answer that is lost, a service that is full, limits: waited for', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
  const proxy = await BatchProxy.start(t, port);
  writeFileSync(join(cwd, 'feed.csv'), table(ROWS));
  const fates = new Map<number, Fate>([
    [1, { status: 503, retryAfter: '1' }],
    [3, { status: 429, retryAfter: '1' }],
    [5, 'lose-answer'],
  ]);
  proxy.fate = (batch) => fates.get(batch) ?? 'pass';
  const { code, stdout, stderr } = await runCommandLine(t, ['import', 'feed.csv'], {
    cwd,
    port: proxy.port,
    env: { HOME: cwd },
  });
  t.equal(code, 0, stderr);
  t.match(stdout, /150,000 taken, 0 refused/, 'what was taken without an answer counts as taken');
  // How far it is may stand between.
  t.match(
    stderr,
    /waiting: 503 [\s\S]*?going on\n[\s\S]*?waiting: 429 [\s\S]*?going on\n[\s\S]*?waiting: http/,
  );
  // A timer may fire a millisecond early.
  t.ok(proxy.times[1] - proxy.times[0] > 990, 'Retry-After is heeded');
  t.ok(proxy.times[3] - proxy.times[2] > 990);
  await isImported(t, port, ROWS);
});

t.test('a service that stays away ends it; the same command goes on when it is back', async (t) => {
  const cwd = tempDir(t);
  const port = await freePort();
  const env = { PORT: String(port) };
  const service = await ServiceProcess.start(t, { cwd, env });
  const proxy = await BatchProxy.start(t, port);
  writeFileSync(join(cwd, 'feed.csv'), table(ROWS));
  const args = ['import', 'feed.csv', '--retry-for', '1s'];
  const options = { cwd, port: proxy.port, env: { HOME: cwd } };
  proxy.fate = (batch) => {
    if (batch === 3) service.kill('SIGKILL');
    return 'pass';
  };
  const first = await runCommandLine(t, args, options);
  t.match(first, { code: 1, stderr: /gave up after 1 s: the same command goes on from here\n$/ });
  await service.exit();
  await ServiceProcess.start(t, { cwd, env });
  const second = await runCommandLine(t, args, options);
  t.match(second, { code: 0, stderr: /going on where/ });
  await isImported(t, port, ROWS);
});

t.test(
  'Ctrl-C is said and can be gone on from; a file that was changed meanwhile is told',
  async (t) => {
    const cwd = tempDir(t);
    const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
    const proxy = await BatchProxy.start(t, port);
    const file = join(cwd, 'feed.csv');
    writeFileSync(file, table(ROWS));
    const options = { cwd, port: proxy.port, env: { HOME: cwd } };
    proxy.fate = (batch) => (batch === 2 ? 'hold' : 'pass');
    const args = ['import', 'feed.csv', '--event-time', 'now'];
    const first = startCommand(t, args, options);
    await polled(
      () => (proxy.keys.length === 2 ? true : undefined),
      WAIT_MS_MAX,
      'the second batch',
    );
    first.kill('SIGINT');
    t.match(await first.end, {
      code: 130,
      stderr: /interrupted; the same command goes on from here\n$/,
    });

    // Of the first batch nothing is as it was.
    writeFileSync(file, table(ROWS + 5).replace('p0,0.25,0\n', 'p0,0.25,1\n'));
    const second = await runCommandLine(t, args, options);
    t.match(second, {
      code: 0,
      stderr: /feed\.csv has changed since the try of .*: it is sent from its beginning/,
    });
    t.match(second.stdout, /150,005 taken/);
    await isImported(t, port, ROWS + 5);
    t.strictSame(journals(cwd), []);
  },
);

t.test('a service that has lost what was sent is sent everything again', async (t) => {
  const cwd = tempDir(t);
  const port = await freePort();
  const env = { PORT: String(port) };
  const service = await ServiceProcess.start(t, { cwd, env });
  const proxy = await BatchProxy.start(t, port);
  writeFileSync(join(cwd, 'feed.csv'), table(ROWS));
  proxy.fate = (batch) => (batch === 3 ? { status: 400 } : 'pass');
  const options = { cwd, port: proxy.port, env: { HOME: cwd } };
  t.match(await runCommandLine(t, ['import', 'feed.csv'], options), { code: 1, stderr: /400/ });
  await service.stop();
  await ServiceProcess.start(t, { cwd, env: { ...env, DATA_DIR: 'other' } });
  const second = await runCommandLine(t, ['import', 'feed.csv'], options);
  t.match(second, {
    code: 0,
    stderr: /the service does not have what the try of .* sent: all is sent again/,
    stdout: /150,000 taken/,
  });
  await isImported(t, port, ROWS);
});

t.test(
  'a service that has other events under the same numbers is sent everything again',
  async (t) => {
    const cwd = tempDir(t);
    const port = await freePort();
    const env = { PORT: String(port) };
    const service = await ServiceProcess.start(t, { cwd, env });
    const proxy = await BatchProxy.start(t, port);
    writeFileSync(join(cwd, 'feed.csv'), table(ROWS));
    const options = { cwd, port: proxy.port, env: { HOME: cwd } };
    proxy.fate = (batch) => (batch === 3 ? { status: 400 } : 'pass');
    t.match(await runCommandLine(t, ['import', 'feed.csv'], options), { code: 1, stderr: /400/ });
    await service.stop();
    await ServiceProcess.start(t, { cwd, env: { ...env, DATA_DIR: 'restored' } });
    writeFileSync(join(cwd, 'other.csv'), table(ROWS).replaceAll('\np', '\nother'));
    t.match(await runCommandLine(t, ['import', 'other.csv'], options), { code: 0 });

    const second = await runCommandLine(t, ['import', 'feed.csv'], options);
    t.match(second, {
      code: 0,
      stderr: /the service does not have what the try of .* sent: all is sent again/,
    });
    await isImported(t, port, ROWS);
    for (const id of ['p0', 'p1', 'p4999']) {
      t.equal((await fetch(`http://127.0.0.1:${port}/api/v1/products/${id}`)).status, 200, id);
    }
    t.strictSame(journals(cwd), []);
  },
);

t.test('a report that was moved away begins anew, and that is said', async (t) => {
  const cwd = tempDir(t);
  const { port } = await startReadyService(t, { DATA_DIR: join(cwd, 'data') });
  const proxy = await BatchProxy.start(t, port);
  const rows = table(ROWS).split('\n');
  rows[1] = 'first,much,1';
  rows[ROWS] = 'last,much,1';
  writeFileSync(join(cwd, 'feed.csv'), rows.join('\n'));
  const options = { cwd, port: proxy.port, env: { HOME: cwd } };
  proxy.fate = (batch) => (batch === 3 ? { status: 400 } : 'pass');
  t.match(await runCommandLine(t, ['import', 'feed.csv'], options), { code: 1 });
  const report = join(cwd, 'feed.refused.csv');
  t.match(readFileSync(report, 'utf8'), /first,much/);
  renameSync(report, join(cwd, 'mended.csv'));
  const second = await runCommandLine(t, ['import', 'feed.csv'], options);
  t.match(second, {
    code: 3,
    stderr: /feed\.refused\.csv is gone: a new report begins, with what is refused from here on\n/,
    stdout: /149,998 taken, 2 refused/,
  });
  t.match(readFileSync(report, 'utf8'), /^import_line,[^\n]+\n150001,[^\n]+,last,much,1\n$/);
});
