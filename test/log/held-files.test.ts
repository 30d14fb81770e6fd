/** A folder that is reached through its descriptor stays the same one, whatever its name is given to. */
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FolderGuard, HELD_CHECKPOINT, HELD_LOG, HELD_ROOT } from '../../src/log/folder-guard.ts';
import { HeldFiles } from '../../src/log/held-files.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

function build(t: Test, isHeld: boolean) {
  const root = join(tempDir(t), 'data');
  const held = {
    root,
    log: join(root, 'log'),
    checkpoint: join(root, 'checkpoint'),
    guard: FolderGuard.create(),
  };
  const guard = new FolderGuard(held.guard);
  for (const [index, path] of [
    [HELD_ROOT, root],
    [HELD_LOG, held.log],
    [HELD_CHECKPOINT, held.checkpoint],
  ] as const) {
    mkdirSync(path);
    if (!isHeld) continue;
    const descriptor = openSync(path, 'r');
    t.teardown(() => closeSync(descriptor));
    guard.hold(index, descriptor);
  }
  return { held, files: new HeldFiles(held) };
}

t.test('by descriptor', (t) => {
  const { held, files } = build(t, true);
  renameSync(held.root, `${held.root}.old`);
  mkdirSync(held.log, { recursive: true });
  writeFileSync(join(held.log, 'a'), 'foreign');

  const file = files.create(join(held.log, 'a.tmp'));
  t.equal(files.write(file, Buffer.from('own'), 0, 3, 0), 3);
  files.syncData(file);
  files.close(file);
  files.rename(join(held.log, 'a.tmp'), join(held.log, 'a'));
  files.syncFolder(held.log);
  files.makeFolder(join(held.checkpoint, '1.tmp'));
  files.rename(join(held.checkpoint, '1.tmp'), join(held.checkpoint, '1'));
  t.strictSame(files.list(held.log), ['a']);
  t.strictSame(files.list(held.root).sort(), ['checkpoint', 'log']);
  t.strictSame(readdirSync(`${held.root}.old/log`), ['a']);
  t.strictSame(readdirSync(`${held.root}.old/checkpoint`), ['1']);
  t.strictSame(readdirSync(held.root), ['log'], 'the other folder is untouched');
  const own = files.open(join(held.log, 'a'));
  t.equal(files.size(own), 3);
  files.close(own);
  files.remove(join(held.log, 'a'));
  files.removeFolder(join(held.checkpoint, '1'));
  t.strictSame(readdirSync(held.log), ['a']);
  t.end();
});

t.test('errors name the path that people know', (t) => {
  for (const isHeld of [true, false]) {
    const { held, files } = build(t, isHeld);
    const path = join(held.log, 'nothing');
    t.throws(() => files.open(path), { code: 'ENOENT', message: new RegExp(`'${path}'`) });
    t.throws(() => files.list(path), { message: new RegExp(`'${path}'`) });
    const file = files.openForReading(held.log);
    t.throws(() => files.read(file, Buffer.alloc(1), 0, 1, 0), {
      code: 'EISDIR',
      message: new RegExp(`'${held.log}'`),
    });
    files.close(file);
  }
  t.end();
});
