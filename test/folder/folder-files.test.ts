/** Which missing files are a loss, and which ones retention may have removed. */
import { copyFileSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FolderFiles } from '../../src/folder/folder-files.ts';
import { type SegmentEnd, segmentName } from '../../src/log/format.ts';
import { tempDir } from '../helpers/temp-dir.ts';

const NONCE = Buffer.alloc(16, 1);
const BYTES = 1000;

/** Segments that start with 1, 11, 21 and 31, and what a look at them finds. */
async function build(t: Test, checkpoints: readonly number[]) {
  const root = tempDir(t);
  const [log, checkpoint] = [join(root, 'log'), join(root, 'checkpoint')];
  for (const folder of [log, checkpoint]) mkdirSync(folder);
  for (const seq of [1, 11, 21, 31])
    writeFileSync(join(log, segmentName(seq)), Buffer.alloc(BYTES));
  writeFileSync(join(log, 'newest'), '');
  const folderOf = (seq: number) => join(checkpoint, String(seq).padStart(16, '0'));
  for (const seq of checkpoints) {
    mkdirSync(folderOf(seq));
    for (const name of ['manifest.json', 'shard-0000.ckp']) {
      writeFileSync(join(folderOf(seq), name), '');
    }
  }
  const tail: SegmentEnd = { firstSeq: 31, nonce: NONCE, endBytes: BYTES, chain: 0 };
  const files = new FolderFiles(log, checkpoint);
  t.equal(await files.missing(tail), undefined, 'nothing at first');
  return {
    log,
    folderOf,
    look: () => files.missing(tail),
    fresh: () => new FolderFiles(log, checkpoint).missing(tail),
  };
}

t.test('what retention removes is no loss', async (t) => {
  const { log, folderOf, look } = await build(t, [5, 22, 25]);
  rmSync(folderOf(5), { recursive: true });
  rmSync(join(log, segmentName(1)));
  t.equal(await look(), undefined);
  rmSync(join(log, segmentName(11)));
  t.match(await look(), undefined, 'covered by both');
  rmSync(join(log, segmentName(21)));
  t.equal(await look(), segmentName(21), 'the older one needs it');
});

t.test('with one checkpoint, or none, all of the log is needed', async (t) => {
  for (const checkpoints of [[], [25]]) {
    const { log, look } = await build(t, checkpoints);
    rmSync(join(log, segmentName(1)));
    t.equal(await look(), segmentName(1));
  }
});

t.test('each thing that a start needs', async (t) => {
  const losses: readonly [RegExp, (world: Awaited<ReturnType<typeof build>>) => void][] = [
    [/^0{14}31\.seg$/, ({ log }) => rmSync(join(log, segmentName(31)))],
    [/^newest$/, ({ log }) => rmSync(join(log, 'newest'))],
    [/^the end of 0{14}31\.seg$/, ({ log }) => truncateSync(join(log, segmentName(31)), BYTES - 1)],
    [/^the checkpoint before seq 25$/, (w) => rmSync(w.folderOf(25), { recursive: true })],
    [/^the checkpoint before seq 22$/, (w) => rmSync(w.folderOf(22), { recursive: true })],
    [/^shard-0000\.ckp of the checkpoint/, (w) => rmSync(join(w.folderOf(22), 'shard-0000.ckp'))],
    [/^manifest\.json of the checkpoint/, (w) => rmSync(join(w.folderOf(25), 'manifest.json'))],
    [
      /^0{14}31\.seg, in whose place is another file$/,
      ({ log }) => {
        const path = join(log, segmentName(31));
        copyFileSync(path, `${path}.new`);
        renameSync(`${path}.new`, path);
      },
    ],
  ];
  for (const [expected, lose] of losses) {
    const world = await build(t, [22, 25]);
    lose(world);
    t.match(await world.look(), expected);
  }
});

t.test('what no look has ever seen, but a start needs', async (t) => {
  const { log, folderOf, look, fresh } = await build(t, [22, 25]);
  for (const seq of [1, 11]) rmSync(join(log, segmentName(seq)));
  t.equal(await fresh(), undefined, 'retention has removed the first segments');
  t.equal(await look(), undefined);
  rmSync(join(log, 'newest'));
  t.equal(await fresh(), 'newest');
  writeFileSync(join(log, 'newest'), '');
  rmSync(folderOf(22), { recursive: true });
  rmSync(folderOf(25), { recursive: true });
  t.equal(await fresh(), 'every checkpoint that the log before seq 21 is covered by');
});
