/** `verify` on folders that are whole, torn, damaged, incomplete, and on what is no data folder. */
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { UsageError } from '../../src/maintenance/commands.ts';
import type { VerifySummary } from '../../src/maintenance/verify-report.ts';
import { BuiltData, namesOf } from '../helpers/disks/built-data.ts';
import { folderState } from '../helpers/disks/folder-state.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { runCommand } from '../helpers/processes/run-command.ts';

const seed = testSeed();

/** Three segments, two checkpoints: one in the middle and one at the end. */
function build(t: Test): BuiltData {
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(seed));
  return data.segment(12).checkpoint().segment(12).segment(12).checkpoint(3).seal();
}

function verify(data: BuiltData): VerifySummary & { readonly code: number } {
  const { code, text } = runCommand('verify', data.root, '--json');
  return { ...JSON.parse(text), code };
}

function flip(path: string, at: number, bit = 0): void {
  const bytes = readFileSync(path);
  bytes[at] = bytes[at] ^ (1 << bit);
  writeFileSync(path, bytes);
}

t.test(`a whole folder (seed ${seed})`, (t) => {
  const data = build(t);
  const before = folderState(data.root);
  const { code, isWhole, wouldStart, heldBy, log, checkpoints, faults } = verify(data);
  t.equal(code, 0);
  t.strictSame(
    { isWhole, wouldStart, heldBy, faults },
    {
      isWhole: true,
      wouldStart: true,
      heldBy: null,
      faults: [],
    },
  );
  t.match(log, {
    segments: 3,
    frames: 37,
    events: data.events.length,
    firstSeq: 1,
    lastSeq: data.events.length,
    isSealed: true,
    tornTail: null,
  });
  const [older, newer] = data.checkpoints as [number, number];
  t.strictSame(
    checkpoints.map(({ path, replayFrom }) => `${basename(path)} ${replayFrom}`).sort(),
    [older, newer].flatMap((seq) => namesOf(seq).map((name) => `${name} ${seq}`)).sort(),
  );
  const { text } = runCommand('verify', data.root);
  t.match(text, `3 segments, 37 frames, ${data.events.length} events (seq 1 to`);
  t.match(text, 'result       whole: a start would succeed\n');
  t.strictSame(folderState(data.root), before, 'nothing was written');
  t.end();
});

t.test('a torn tail is told and is no damage, wherever it is cut', (t) => {
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(seed));
  data.segment(5).checkpoint().segment(5).abandon();
  const last = data.frames.at(-1);
  if (last === undefined) throw new Error('no frame');
  for (let length = last.offsetBytes + last.bytes - 1; length > last.offsetBytes; length -= 7) {
    truncateSync(last.path, length);
    const { code, log } = verify(data);
    t.equal(code, 0);
    t.match(log.tornTail, { path: last.path, offsetBytes: last.offsetBytes });
    t.equal(log.lastSeq, last.firstSeq - 1);
  }
  t.match(runCommand('verify', data.root).text, /^tail {9}torn: \d+ bytes at byte \d+ of /m);
  t.end();
});

t.test('leftovers and unknown files are told and are no damage', (t) => {
  const data = build(t);
  writeFileSync(join(data.logFolder, '0000000000000777.seg.tmp'), 'x');
  mkdirSync(join(data.checkpointFolder, '0000000000000777.tmp'));
  writeFileSync(join(data.root, 'notes.txt'), 'x');
  const { code, leftovers, unknown } = verify(data);
  t.equal(code, 0);
  t.strictSame(leftovers, [
    join(data.logFolder, '0000000000000777.seg.tmp'),
    join(data.checkpointFolder, '0000000000000777.tmp'),
  ]);
  t.strictSame(unknown, [join(data.root, 'notes.txt')]);
  t.end();
});

t.test('what a history, a cluster and a join keep in the folder is known', (t) => {
  const data = build(t);
  const files = ['history.sqlite', 'history.sqlite-wal', 'history.sqlite-shm', 'cluster.json'];
  files.push('replica-0.json', 'replica-1.json', 'next-generation.json', 'cluster.json.tmp');
  for (const name of files) writeFileSync(join(data.root, name), 'x');
  for (const name of ['joining', 'aside-2026-01-31T23-59-59.000Z'])
    mkdirSync(join(data.root, name));
  const { code, leftovers, aside, unknown } = verify(data);
  t.equal(code, 0);
  t.strictSame(unknown, []);
  t.strictSame(leftovers, [join(data.root, 'cluster.json.tmp')]);
  t.strictSame(aside, [join(data.root, 'aside-2026-01-31T23-59-59.000Z')]);
  t.match(
    runCommand('verify', data.root).text,
    /^set aside {4}[^ ]+\/aside-2026[^ ]+ \(held before/m,
  );
  t.end();
});

t.test('a flipped bit is found in every file, with its frame, and all of several are', (t) => {
  const data = build(t);
  const [first, second] = data.segments;
  const frame = data.frames[3];
  const other = data.frames[20];
  if (!first || !second || !frame || !other) throw new Error('too small');
  flip(frame.path, frame.offsetBytes + 100);
  flip(other.path, other.offsetBytes + 4);
  flip(second, 30);
  flip(join(data.logFolder, 'newest'), 0);
  const [newer, older] = data.checkpoints.map((seq) =>
    namesOf(seq).map((name) => join(data.checkpointFolder, name)),
  );
  const manifest = join(newer?.[0] ?? '', 'manifest.json');
  flip(manifest, 12);
  // A shard that no product fell to has only a header.
  const parts = (older ?? []).slice(1).filter((path) => statSync(path).size > 4300);
  const [part, cut] = parts as [string, string];
  flip(part, 4096 + 100);
  flip(cut, 40);
  const { code, faults, refusal } = verify(data);
  t.equal(code, 1);
  t.type(refusal, 'string', 'a start would be refused');
  const found = (path: string, offsetBytes: number) =>
    faults.some((fault) => fault.path === path && fault.offsetBytes === offsetBytes);
  t.ok(found(frame.path, frame.offsetBytes));
  t.ok(found(other.path, other.offsetBytes));
  t.ok(found(second, 0));
  t.ok(found(join(data.logFolder, 'newest'), 0));
  t.ok(found(manifest, 0));
  t.ok(found(part, 4096));
  t.ok(found(cut, 0));
  t.equal(faults.length, 7, JSON.stringify(faults, undefined, 1));
  t.end();
});

t.test('a bit flipped anywhere is found, and in the right file', (t) => {
  const random = new Random(seed);
  const data = build(t);
  const files = folderState(data.root)
    .map((line) => join(data.root, line.split(' ')[0]))
    .filter((path) => /\.(seg|ckp|json)$|newest$/.test(path));
  const seal = data.frames.at(-1);
  let torn = 0;
  for (let i = 0; i < 400; i++) {
    const path = random.pick(files);
    const bytes = readFileSync(path);
    const at = random.below(bytes.length);
    flip(path, at, random.below(8));
    const { faults, log, isWhole } = verify(data);
    if (path === seal?.path && at >= seal.offsetBytes) {
      t.equal(log.tornTail?.offsetBytes, seal.offsetBytes, 'a damaged seal is a torn tail');
      torn++;
    } else if (isWhole || !faults.every((fault) => fault.path === path)) {
      t.fail(`bit flipped at ${at} of ${path}: ${JSON.stringify(faults)}`);
    }
    writeFileSync(path, bytes);
  }
  t.ok(torn < 100);
  t.ok(verify(data).isWhole);
  t.end();
});

t.test('what is no data folder is wrong usage', (t) => {
  const folder = tempDir(t);
  t.throws(() => runCommand('verify', folder), UsageError);
  t.throws(() => runCommand('verify', join(folder, 'nowhere')), UsageError);
  t.throws(() => runCommand('verify', folder, folder), UsageError);
  t.end();
});
