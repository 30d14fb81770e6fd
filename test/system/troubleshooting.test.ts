/** docs/troubleshooting.md: what it shows is what the service says. The other tests that provoke something of it are listed here. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { TROUBLES, troubleShown } from '../helpers/api/troubleshooting.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const TEST = new URL('../', import.meta.url);
const OWN = 'system/troubleshooting.test.ts';
/** Where each is provoked. */
const PROVOKED: Readonly<Record<string, string>> = {
  'The port is in use': OWN,
  'Another process holds the data folder': OWN,
  'Permission denied': 'system-faults/other-user.test.ts',
  'The container exits at once': OWN,
  'Not enough memory': OWN,
  'The log is damaged': 'system/damaged-log.test.ts',
  'The disk is full': 'system-faults/full-disk.test.ts',
  'The disk is slow or fails': 'system-faults/full-disk.test.ts',
  'The clock is wrong': 'system-tools/clock.test.ts',
  'Writes get 503 queue-full': 'system/queue-full.test.ts',
};

t.test('each trouble of the page is provoked by a test', (t) => {
  t.same(TROUBLES, Object.keys(PROVOKED));
  for (const [title, file] of Object.entries(PROVOKED)) {
    const source = readFileSync(new URL(file, TEST), 'utf8');
    const named = file === OWN ? `'${title}', ` : `troubleShown('${title}')`;
    const isShown = title !== 'Writes get 503 queue-full';
    t.ok(source.includes(isShown ? named : 'queue-full'), `${title}: ${file}`);
  }
  t.end();
});

async function refused(t: Test, env: Record<string, string>, title: string, code: number) {
  const service = ServiceProcess.spawn(t, { cwd: tempDir(t), env });
  t.strictSame(await service.exit(), { code, signal: null }, title);
  t.match(service.stderr, troubleShown(title));
}

t.test('a port that another program has', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const address = other.address();
  const port = typeof address === 'object' ? `${address?.port}` : '';
  await refused(t, { PORT: port, MAX_MEMORY_USAGE: '16MB' }, 'The port is in use', 1);
});

t.test('a folder that another process holds', async (t) => {
  const env = { MAX_MEMORY_USAGE: '16MB', DATA_DIR: tempDir(t) };
  await ServiceProcess.start(t, { cwd: tempDir(t), env });
  await refused(t, env, 'Another process holds the data folder', 1);
});

t.test('more memory than there is', (t) =>
  refused(t, { MAX_MEMORY_USAGE: '2TB', SHARDS: '1024' }, 'Not enough memory', 2),
);

t.test('open to other machines, and to everybody', (t) =>
  refused(t, { HOST: '0.0.0.0' }, 'The container exits at once', 2),
);
