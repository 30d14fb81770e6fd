/** The data folder's own name is as durable as what is in it, whoever made it. */
import t from 'tap';
import { makeDurably } from '../../src/log/data-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { FaultyFiles, FaultyProcess } from './faulty-files.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const ROOT = '/var/lib/service';

function namesIn(disk: SimulatedDisk): string {
  try {
    return disk.list(ROOT).sort().join();
  } catch (error) {
    return String(error);
  }
}

t.test('a start that died between any two steps is made good by the next one', (t) => {
  const lost: string[] = [];
  for (let calls = 0; calls < 12; calls++) {
    for (let seed = 0; seed < 50; seed++) {
      const disk = new SimulatedDisk();
      const process = new FaultyProcess(disk, new Random(seed));
      process.faults = [{ from: calls, calls: 1, kind: 'end-after' }];
      try {
        makeDurably(new FaultyFiles(process), ROOT);
      } catch {
        // It ended there.
      }
      makeDurably(disk, ROOT);
      disk.powerLoss(new Random(seed));
      if (namesIn(disk) !== 'checkpoint,log') lost.push(`ended after call ${calls}, seed ${seed}`);
    }
  }
  t.same(lost, []);
  t.end();
});

t.test('a parent that must not be read does not refuse the start, a failing one does', (t) => {
  const failing = (code: string) => {
    const disk = new SimulatedDisk();
    const sync = disk.syncFolder.bind(disk);
    disk.syncFolder = (folder) => {
      if (folder === '/var/lib') throw Object.assign(new Error(code), { code });
      sync(folder);
    };
    return disk;
  };
  makeDurably(failing('EACCES'), ROOT);
  t.throws(() => makeDurably(failing('EIO'), ROOT), { code: 'EIO' });
  t.end();
});
