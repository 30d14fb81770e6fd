/**
 * `repair`: the original stays byte for byte, the copy starts with the real service and serves what
 * must be there, the report is true. (Over 300 lines: one kind of damage after the other.)
 */
import {
  copyFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import t, { type Test } from 'tap';
import { windowsName } from '../../src/checkpoint/format.ts';
import { checkCheckpoint, readCheckpoint } from '../../src/checkpoint/reader.ts';
import { rangeOf } from '../../src/config/schema.ts';
import { DEDUPE_ENTRY_BYTES } from '../../src/dedupe/dedupe-window.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { UsageError } from '../../src/maintenance/commands.ts';
import { RepairError } from '../../src/maintenance/repair.ts';
import { SEQ_MARGIN } from '../../src/maintenance/repair-plan.ts';
import { SLOT_BYTES, SLOT_DOUBLES, SLOT_SEQ } from '../../src/ring/slot.ts';
import {
  BUILT_SET,
  BuiltData,
  namesOf,
  shardIn,
  type WrittenFrame,
} from '../helpers/disks/built-data.ts';
import { folderState } from '../helpers/disks/folder-state.ts';
import { damage, repair, serves } from '../helpers/disks/repairing.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { runCommand } from '../helpers/processes/run-command.ts';

const seed = testSeed();

function build(t: Test): BuiltData {
  return new BuiltData(join(tempDir(t), 'data'), new Random(seed));
}

/** Path of something of a checkpoint: 0 the windows, then its parts. */
function pathIn(data: BuiltData, checkpoint: number, index: number): string {
  const name = namesOf(data.checkpoints.at(checkpoint) as number)[index];
  return join(data.checkpointFolder, name as string);
}

/** The seqs of the keys in the checkpoint of a repaired copy, and those of its receipts. */
function keysIn(root: string, replayFrom: number, receipts: number[] = []): number[] {
  const files = new NodeFileSystem();
  const name = windowsName(replayFrom);
  const checked = checkCheckpoint(files, join(root, 'checkpoint'), replayFrom, name);
  if ('reason' in checked) throw new Error(checked.reason);
  const seqs: number[] = [];
  readCheckpoint(files, checked, {
    entries: () => undefined,
    keys: (entries, count) => {
      const bytes = Buffer.from(entries.buffer, entries.byteOffset, entries.byteLength);
      for (let i = 0; i < count; i++) {
        seqs.push(bytes.readDoubleLE(i * DEDUPE_ENTRY_BYTES + DEDUPE_ENTRY_BYTES - 8));
      }
    },
    receipts: ({ doubles }, first, count) => {
      for (let i = first; i < first + count; i++) {
        receipts.push(doubles[i * SLOT_DOUBLES + SLOT_SEQ]);
      }
    },
    outcomes: () => undefined,
  });
  return seqs;
}

t.test(`a whole folder is copied and nothing is lost (seed ${seed})`, async (t) => {
  const data = build(t).segment(8).checkpoint(2).segment(8).seal();
  const { code, text, to, report } = repair(t, data);
  t.equal(code, 0);
  t.match(report, { isComplete: true, nextSeq: data.nextSeq, lost: [], faults: [] });
  t.match(text, 'result       repaired, nothing lost\n');
  const keyed = data.events.filter(({ key }) => key !== undefined);
  t.same(
    keysIn(to, data.nextSeq),
    keyed.map(({ seq }) => seq),
    'repetitions stay known',
  );
  await serves(t, to, data.model(), data.nextSeq);
});

t.test('batches stay known by their receipts, but not those that lost events', async (t) => {
  for (const isDamaged of [false, true]) {
    const data = build(t);
    data.hasReceipts = true;
    data.segment(8).checkpoint(2).segment(8).seal();
    const newest = new Map<string, number>();
    for (const { receipt, seq } of data.events) {
      if (receipt !== undefined) newest.set(receipt.key, seq);
    }
    const first = data.frames[0];
    if (isDamaged) {
      damage(first.path, first.offsetBytes + 80);
      for (const name of namesOf(data.checkpoints[0])) {
        rmSync(join(data.checkpointFolder, name), { recursive: true });
      }
    }
    const { code, to, report } = repair(t, data);
    t.equal(code, isDamaged ? 3 : 0);
    const receipts: number[] = [];
    keysIn(to, report.nextSeq, receipts);
    const known = receipts.sort((a, b) => a - b);
    const expected = [...newest.values()].sort((a, b) => a - b);
    t.ok(expected.length > 0);
    t.strictSame(known, isDamaged ? [] : expected);
  }
});

t.test('a torn tail alone loses nothing', async (t) => {
  const data = build(t).segment(8).abandon();
  const last = data.frames.at(-1) as WrittenFrame;
  truncateSync(last.path, last.offsetBytes + 70);
  const { code, to, report } = repair(t, data);
  t.equal(code, 0);
  t.equal(report.nextSeq, last.firstSeq, 'the torn events were never acknowledged');
  t.match(report.tornTail, { offsetBytes: last.offsetBytes });
  await serves(
    t,
    to,
    data.model(({ seq }) => seq < last.firstSeq),
    last.firstSeq,
  );
});

t.test('a frame in the middle is lost, and what follows it is kept under its seqs', async (t) => {
  const data = build(t).segment(8).segment(8).seal();
  const frame = data.frames[5];
  damage(frame.path, frame.offsetBytes + 80);
  const { code, text, to, report } = repair(t, data);
  t.equal(code, 3);
  const toSeq = frame.firstSeq + frame.count - 1;
  t.strictSame(report.lost, [{ fromSeq: frame.firstSeq, toSeq, events: frame.count }]);
  t.equal(report.uncertain, null);
  t.match(report.faults, [
    { path: frame.path, offsetBytes: frame.offsetBytes, lengthBytes: frame.bytes },
  ]);
  t.match(text, 'result       repaired, WITH LOSSES\n');
  const isKept = ({ seq }: { seq: number }) => seq < frame.firstSeq || seq > toSeq;
  await serves(t, to, data.model(isKept), data.nextSeq + SEQ_MARGIN);
});

t.test('damage that a checkpoint covers loses nothing', async (t) => {
  const data = build(t).segment(8).segment(8).checkpoint().segment(4).seal();
  const frame = data.frames[5];
  damage(frame.path, frame.offsetBytes + 80);
  rmSync(data.segments[1]);
  const { code, to, report } = repair(t, data);
  t.equal(code, 0);
  t.match(report.kept, { checkpoint: data.checkpoints[0] });
  await serves(t, to, data.model(), report.nextSeq);
});

t.test('a damaged checkpoint loses nothing while the log reaches back', async (t) => {
  const data = build(t).segment(8).checkpoint().segment(8).checkpoint().seal();
  damage(pathIn(data, -1, 1), 20);
  const { code, to, report } = repair(t, data);
  t.equal(code, 0);
  t.match(report, { nextSeq: data.nextSeq, kept: { checkpoint: data.checkpoints[0] } });
  await serves(t, to, data.model(), data.nextSeq);
});

t.test('a part that is damaged, before a gap: the good ones of its round are kept', async (t) => {
  const data = build(t).segment(8).checkpoint().segment(8).checkpoint().seal();
  rmSync(data.segments[0]);
  rmSync(data.segments[1]);
  damage(pathIn(data, -1, 1), 20);
  const { code, to, report } = repair(t, data);
  t.equal(code, 3);
  t.match(report.kept, { checkpoint: data.checkpoints[0], salvagedCheckpoints: [] });
  t.match(report.uncertain, { fromSeq: data.nextSeq, reason: 'the newest segment is missing' });
  // The shard of the damaged part is as it was a round before; the others have every event.
  const { shards } = BUILT_SET;
  const isKept = ({ seq, productId }: { seq: number; productId: string }) =>
    seq < data.checkpoints[0] || shardIn(productId, shards) !== 0;
  await serves(t, to, data.model(isKept), data.nextSeq + SEQ_MARGIN);
});

t.test('a block of a part that is damaged costs what is in it', async (t) => {
  const data = build(t).segment(8).checkpoint().seal();
  rmSync(data.segments[0]);
  // One that no product fell to has only a header.
  const shards = Array.from({ length: BUILT_SET.shards }, (_, shard) => shard);
  const damaged = shards.find((shard) => statSync(pathIn(data, -1, 1 + shard)).size > 4300) ?? -1;
  damage(pathIn(data, -1, 1 + damaged), 4096 + 20);
  const { code, to, report } = repair(t, data);
  t.equal(code, 3);
  t.match(report.kept, { checkpoint: null, salvagedCheckpoints: [data.nextSeq] });
  const isKept = ({ productId }: { productId: string }) =>
    shardIn(productId, BUILT_SET.shards) !== damaged;
  await serves(t, to, data.model(isKept), data.nextSeq + SEQ_MARGIN);
});

t.test('a missing segment in the middle is a gap between kept events', async (t) => {
  const data = build(t).segment(8).segment(8).segment(8).seal();
  const [, missing] = data.segments;
  const gone = data.frames.filter(({ path }) => path === missing);
  rmSync(missing as string);
  const { code, to, report } = repair(t, data);
  t.equal(code, 3);
  const fromSeq = gone[0]?.firstSeq as number;
  const events = gone.reduce((sum, { count }) => sum + count, 0);
  t.strictSame(report.lost, [{ fromSeq, toSeq: fromSeq + events - 1, events }]);
  const isKept = ({ seq }: { seq: number }) => seq < fromSeq || seq >= fromSeq + events;
  await serves(t, to, data.model(isKept), data.nextSeq + SEQ_MARGIN);
});

t.test('a missing newest segment: nobody knows how much, and no seq is given twice', async (t) => {
  const data = build(t).segment(8).segment(8).seal();
  const first = data.frames.find(({ path }) => path === data.segments[1])?.firstSeq as number;
  rmSync(data.segments[1]);
  const { code, to, report } = repair(t, data);
  t.equal(code, 3);
  t.match(report, { uncertain: { fromSeq: first, reason: 'the newest segment is missing' } });
  t.ok(report.nextSeq >= data.nextSeq, 'behind every seq that was ever given');
  await serves(
    t,
    to,
    data.model(({ seq }) => seq < first),
    report.nextSeq,
  );
});

for (const [what, spoil] of [
  ['damaged', (path: string) => damage(path, 0)],
  ['missing', (path: string) => rmSync(path)],
] as const) {
  t.test(`with the file newest ${what} nobody knows whether a segment is missing`, async (t) => {
    const data = build(t).segment(8).segment(8).seal();
    spoil(join(data.logFolder, 'newest'));
    const { code, to, report } = repair(t, data);
    t.equal(code, 3);
    t.strictSame(report.lost, []);
    const reason = 'nothing says which segment was the newest';
    t.match(report.uncertain, { fromSeq: data.nextSeq, reason });
    await serves(t, to, data.model(), report.nextSeq);
  });
}

t.test('swapped segments are put in order by what they say', async (t) => {
  const data = build(t).segment(8).segment(8).segment(8).seal();
  const [a, b] = data.segments as [string, string];
  const bytes = readFileSync(a);
  copyFileSync(b, a);
  writeFileSync(b, bytes);
  const { code, to, report } = repair(t, data);
  t.equal(code, 0);
  t.equal(report.faults.length, 2);
  await serves(t, to, data.model(), report.nextSeq);
});

t.test('a segment of another log is left out', async (t) => {
  const data = build(t).segment(8).segment(8).segment(8).seal();
  const other = new BuiltData(join(tempDir(t), 'data'), new Random(seed));
  other.segment(8).segment(8).segment(8).seal();
  const [, path] = data.segments as [string, string];
  copyFileSync(other.segments[1], path);
  const gone = data.frames.filter((frame) => frame.path === path);
  const fromSeq = gone[0]?.firstSeq as number;
  const toSeq = fromSeq + gone.reduce((sum, { count }) => sum + count, 0) - 1;
  const { code, to, report } = repair(t, data);
  t.equal(code, 3);
  t.match(report.lost, [{ fromSeq, toSeq }]);
  const isKept = ({ seq }: { seq: number }) => seq < fromSeq || seq > toSeq;
  await serves(t, to, data.model(isKept), report.nextSeq);
});

t.test('a damaged segment header costs none of its events', async (t) => {
  const data = build(t).segment(8).segment(8).segment(8).seal();
  for (const path of data.segments) damage(path, 20);
  const { code, to, report } = repair(t, data);
  t.equal(code, 0, JSON.stringify(report));
  t.equal(report.faults.length, 3);
  await serves(t, to, data.model(), report.nextSeq);
});

t.test('where nothing is provably good, there is no copy', (t) => {
  const data = build(t).segment(4).seal();
  const [path] = data.segments as [string];
  writeFileSync(path, Buffer.alloc(readFileSync(path).length, 0xaa));
  const to = `${data.root}-repaired`;
  const before = folderState(dirname(data.root));
  t.throws(() => runCommand('repair', data.root, '--to', to), RepairError);
  t.strictSame(folderState(dirname(data.root)), before);
  t.end();
});

t.test('data of another format version is not repaired but refused', (t) => {
  const data = build(t).segment(4).checkpoint().seal();
  const path = pathIn(data, -1, 1);
  const bytes = readFileSync(path);
  bytes.writeUInt32LE(3, 8);
  const crc = crc32(bytes.subarray(16, 4096), crc32(bytes.subarray(0, 12)));
  bytes.writeUInt32LE(crc, 12);
  writeFileSync(path, bytes);
  t.throws(() => runCommand('repair', data.root, '--to', `${data.root}-r`), /format version 3/);
  t.notOk(existsSync(`${data.root}-r`));

  const log = build(t).segment(0).abandon();
  const header = join(log.logFolder, '0000000000000001.seg');
  damage(header, 8);
  t.throws(() => runCommand('repair', log.root, '--to', `${log.root}-r`), /use that version/);
  t.end();
});

t.test('a damaged version in a segment with frames of this version is damage', async (t) => {
  const data = build(t).segment(8).seal();
  damage(data.segments[0], 8);
  const { code, to, report } = repair(t, data);
  t.equal(code, 0);
  t.match(report.faults, [{ reason: /made by another version/ }]);
  await serves(t, to, data.model(), report.nextSeq);
});

t.test('the target must be new and outside; without one it lies beside the original', (t) => {
  const data = build(t).segment(4).seal();
  const target = join(data.root, 'repaired');
  t.throws(() => runCommand('repair', data.root, '--to', target), UsageError);
  t.throws(() => runCommand('repair', data.root, '--to', dirname(data.root)), UsageError);
  const { code, text } = runCommand('repair', data.root);
  t.equal(code, 0);
  const to = /^repaired to {2}(.*)$/m.exec(text)?.[1] as string;
  t.match(basename(to), /^data\.repaired-\d{8}T\d{6}Z$/);
  t.equal(dirname(to), dirname(data.root));
  t.ok(existsSync(join(to, 'repair-report.json')));
  t.end();
});

t.test('the margin is more than a segment can hold', (t) => {
  t.ok(SEQ_MARGIN > rangeOf('segmentBytesMax').maximum / SLOT_BYTES);
  t.end();
});
