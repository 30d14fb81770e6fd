/** What a killed tool leaves: the next one removes it, and nothing that another one works on. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { PartialFolder } from '../../src/maintenance/partial-folder.ts';
import { polled } from '../helpers/bounded.ts';
import { BuiltData } from '../helpers/disks/built-data.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { runCommand } from '../helpers/processes/run-command.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { tried } from '../helpers/tries.ts';

const MADE_MS_MAX = 60_000;

t.test('a killed backup', async (t) => {
  const cwd = tempDir(t);
  const data = new BuiltData(join(cwd, 'data'), new Random(1), 20_000);
  data.segment(3000).checkpoint().segment(3000).seal();
  const begun = () =>
    readdirSync(cwd).find((name) => existsSync(join(cwd, name, 'data/checkpoint')));
  let left = '';
  await tried(async () => {
    const tool = ServiceProcess.spawn(t, { cwd, args: ['backup', '--to', 'monday'] });
    let isOver = false;
    void tool.exited.then(() => {
      isOver = true;
    });
    await polled(() => isOver || begun() || undefined, MADE_MS_MAX, 'the copy to be begun');
    await tool.crash();
    left = begun() ?? '';
    if (left !== '') t.ok(left.startsWith(`monday.partial-${tool.pid}-`), left);
    rmSync(join(cwd, 'monday'), { recursive: true, force: true });
    return left !== '';
  }, 'a backup was killed before it was through');

  const next = ServiceProcess.spawn(t, { cwd, args: ['backup', '--to', 'tuesday'] });
  t.strictSame(await next.exit(), { code: 0, signal: null }, next.stderr);
  t.match(next.stdout, `removed      ${join(cwd, left)}: never finished\n`);
  t.strictSame(readdirSync(cwd).sort(), ['data', 'tuesday']);
  t.equal(runCommand('verify', join(cwd, 'tuesday')).code, 0);
  t.strictSame(readdirSync(join(cwd, 'tuesday')).sort(), ['checkpoint', 'log'], 'no lock in it');
});

t.test('what is not abandoned stays', (t) => {
  const cwd = tempDir(t);
  const data = new BuiltData(join(cwd, 'data'), new Random(1)).segment(3).seal();
  const working = new PartialFolder(join(cwd, 'other'));
  mkdirSync(working.data);
  // By name only: nobody knows what these are.
  const strange = join(cwd, 'x.partial-1-0123abcd');
  mkdirSync(strange);
  new DatabaseSync(join(strange, 'lock')).close();
  writeFileSync(join(strange, 'lock'), '');
  writeFileSync(join(strange, 'mine.txt'), '');
  mkdirSync(join(cwd, 'y.partial-1-0123abcd'));
  const before = readdirSync(cwd).sort();
  t.equal(runCommand('backup', data.root, '--to', join(cwd, 'copy')).code, 0);
  t.strictSame(readdirSync(cwd).sort(), [...before, 'copy'].sort());
  working.publish();
  t.strictSame(
    readdirSync(cwd).filter((name) => name.startsWith('other')),
    ['other'],
  );
  t.end();
});
