/** Locks of a folder that goes away while they are taken again: that is a loss, not another's folder. */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { DataDir, FolderHeldError } from '../../src/log/data-dir.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

t.test('removed behind the look that found it there', (t) => {
  const root = join(tempDir(t), 'data');
  const dataDir = DataDir.open(root);
  t.teardown(() => dataDir.close());
  rmSync(root, { recursive: true });
  for (const time of ['first', 'second']) {
    try {
      dataDir.lockAgain();
      t.fail(`the ${time} time it took a lock in no folder`);
    } catch (error) {
      t.notOk(error instanceof FolderHeldError, `the ${time} time nobody else is blamed`);
    }
  }
  t.equal(dataDir.state().state, 'removed');
  dataDir.acquire();
  t.equal(dataDir.state().state, 'there');
  t.strictSame(dataDir.lockAgain(), [], 'it has all locks');
  t.throws(() => DataDir.open(root), /is held by process/);
  t.end();
});

t.test('a lock that could not be taken again is still missed at the next look', (t) => {
  const root = join(tempDir(t), 'data');
  const dataDir = DataDir.open(root);
  t.teardown(() => dataDir.close());
  const [log, away] = [join(root, 'log'), join(root, 'away')];
  rmSync(join(root, 'lock'));
  rmSync(join(log, 'lock'));
  renameSync(log, away);
  t.throws(() => dataDir.lockAgain());
  renameSync(away, log);
  t.strictSame(dataDir.lockAgain(), [join(root, 'lock'), join(log, 'lock')]);
  t.throws(() => DataDir.open(root), /is held by process/);
  t.end();
});
