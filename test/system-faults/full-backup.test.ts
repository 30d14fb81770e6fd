/** A copy to a disk without room: one line that says where, exit code 1, and nothing stays behind. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { BuiltData } from '../helpers/disks/built-data.ts';
import { SmallDisk } from '../helpers/disks/small-disk.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

t.test('backup and repair to a full disk', async (t) => {
  const cwd = tempDir(t);
  const data = new BuiltData(join(cwd, 'data'), new Random(1), 4000);
  data.segment(2000).checkpoint().seal();
  const disk = new SmallDisk(t, 1 << 20);
  disk.leave(1 << 18);
  const to = join(disk.path, 'copy');
  for (const command of ['backup', 'repair']) {
    const tool = ServiceProcess.spawn(t, { cwd, args: [command, '--to', to] });
    t.strictSame(await tool.exit(), { code: 1, signal: null }, command);
    t.match(tool.stderr, /^product-service: ENOSPC: no space left on device, \w+ '[^\n]+'\n$/);
    t.match(tool.stderr, `'${to}.partial-${tool.pid}-`, 'names the file');
    t.strictSame(readdirSync(disk.path), ['filler'], 'nothing is left');
  }
});
