/** Which missing files are a loss, and which ones retention may have removed. */
import { copyFileSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { windowsName } from '../../src/checkpoint/format.ts';
import { partFileName } from '../../src/checkpoint/part-format.ts';
import { FolderFiles } from '../../src/folder/folder-files.ts';
import { type SegmentEnd, segmentName } from '../../src/log/format.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

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
  const folderOf = (seq: number) => join(checkpoint, windowsName(seq));
  const partOf = (seq: number, shard: number, shards = 2) =>
    join(checkpoint, partFileName({ keyName: '0b1c2d3e', shards, shard, replayFrom: seq }));
  const save = (seq: number) => {
    mkdirSync(folderOf(seq));
    for (const name of ['manifest.json', 'dedupe.ckp'])
      writeFileSync(join(folderOf(seq), name), '');
    for (const shard of [0, 1]) writeFileSync(partOf(seq, shard), '');
  };
  for (const seq of checkpoints) save(seq);
  const tail: SegmentEnd = { firstSeq: 31, nonce: NONCE, endBytes: BYTES, chain: 0 };
  const files = new FolderFiles(log, checkpoint);
  t.equal(await files.missing(tail), undefined, 'nothing at first');
  return {
    log,
    folderOf,
    partOf,
    save,
    look: () => files.missing(tail),
    /** Where the newest segment begins elsewhere. */
    lookAt: (firstSeq: number) =>
      files.missing({ ...tail, firstSeq, nonce: Buffer.alloc(16, firstSeq) }),
    fresh: () => new FolderFiles(log, checkpoint).missing(tail),
  };
}

t.test('what retention removes is no loss', async (t) => {
  const { log, folderOf, partOf, look } = await build(t, [5, 22, 25]);
  rmSync(folderOf(5), { recursive: true });
  rmSync(partOf(5, 1));
  rmSync(join(log, segmentName(1)));
  t.equal(await look(), undefined);
  rmSync(join(log, segmentName(11)));
  t.match(await look(), undefined, 'covered by both');
  rmSync(join(log, segmentName(21)));
  t.equal(await look(), segmentName(21), 'the older one needs it');
});

t.test('a segment ends where one begins that came and stayed between two looks', async (t) => {
  const { log, save, lookAt } = await build(t, [5]);
  for (const seq of [41, 51]) writeFileSync(join(log, segmentName(seq)), Buffer.alloc(BYTES));
  save(42);
  save(45);
  for (const seq of [1, 11, 21, 31]) rmSync(join(log, segmentName(seq)));
  t.equal(await lookAt(51), undefined);
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
    [/^windows-0{14}25$/, (w) => rmSync(w.folderOf(25), { recursive: true })],
    [/^windows-0{14}22$/, (w) => rmSync(w.folderOf(22), { recursive: true })],
    [/^part-0b1c2d3e-0002-0000-0{14}22.ckp$/, (w) => rmSync(w.partOf(22, 0))],
    [/^part-0b1c2d3e-0002-0001-0{14}25.ckp$/, (w) => rmSync(w.partOf(25, 1))],
    [/^dedupe\.ckp of windows-/, (w) => rmSync(join(w.folderOf(22), 'dedupe.ckp'))],
    [/^manifest\.json of windows-/, (w) => rmSync(join(w.folderOf(25), 'manifest.json'))],
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

t.test(
  'parts of another number of shards, and whole checkpoints, go once there are two without',
  async (t) => {
    const { partOf, folderOf, save, look } = await build(t, [5]);
    const others = [join(folderOf(5), '..', String(3).padStart(16, '0')), partOf(4, 0, 1)];
    mkdirSync(others[0]);
    writeFileSync(join(others[0], 'manifest.json'), '');
    writeFileSync(others[1], '');
    t.equal(await look(), undefined);
    rmSync(others[1]);
    t.match(await look(), /^part-0b1c2d3e-0001/, 'not yet');
    writeFileSync(others[1], '');
    save(22);
    t.equal(await look(), undefined);
    for (const path of others) rmSync(path, { recursive: true });
    t.equal(await look(), undefined);
  },
);

t.test('what no look has ever seen, but a start needs', async (t) => {
  const { log, partOf, look, fresh } = await build(t, [22, 25]);
  for (const seq of [1, 11]) rmSync(join(log, segmentName(seq)));
  t.equal(await fresh(), undefined, 'retention has removed the first segments');
  t.equal(await look(), undefined);
  rmSync(join(log, 'newest'));
  t.equal(await fresh(), 'newest');
  writeFileSync(join(log, 'newest'), '');
  for (const seq of [22, 25]) rmSync(partOf(seq, 1));
  t.equal(await fresh(), 'every checkpoint that the log before seq 21 is covered by');
});
