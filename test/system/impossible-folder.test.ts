/** A folder that can't be made, where Node's own mkdir asks for ever: one line and the end. */
import { join } from 'node:path';
import t from 'tap';
import { BuiltData } from '../helpers/disks/built-data.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const IMPOSSIBLE = ['/proc/nothing', '/proc/nothing/below', '/dev/null/below'];

t.test('a start on a folder that can not be made', async (t) => {
  for (const DATA_DIR of IMPOSSIBLE) {
    const service = ServiceProcess.spawn(t, { cwd: tempDir(t), env: { DATA_DIR } });
    t.strictSame(await service.exit(), { code: 1, signal: null }, DATA_DIR);
    t.match(service.stderr, /^product-service: can't use DATA_DIR [^\n]*(ENOENT|ENOTDIR)[^\n]*\n$/);
    t.notMatch(service.stdout, 'ready on');
  }
});

t.test('a copy in a place where none can be made', async (t) => {
  const cwd = tempDir(t);
  new BuiltData(join(cwd, 'data'), new Random(1)).segment(3).seal();
  for (const command of ['backup', 'repair']) {
    for (const to of IMPOSSIBLE) {
      const tool = ServiceProcess.spawn(t, { cwd, args: [command, '--to', to] });
      t.strictSame(await tool.exit(), { code: 1, signal: null }, `${command} --to ${to}`);
      t.match(tool.stderr, /^product-service: [^\n]*(ENOENT|ENOTDIR)[^\n]*\n$/);
      t.match(tool.stderr, /'\/(proc\/nothing|dev\/null)/, 'names the place');
    }
  }
});
