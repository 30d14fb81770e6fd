/**
 * A folder into which two services wrote, as one that was renamed under its service used to end: verify
 * names the seqs that were given twice, repair says what it leaves out, and neither calls it whole.
 */
import { copyFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { BuiltData } from '../helpers/disks/built-data.ts';
import { repair } from '../helpers/disks/repairing.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { runCommand } from '../helpers/processes/run-command.ts';

function build(t: Test) {
  const cwd = tempDir(t);
  const own = new BuiltData(join(cwd, 'own'), new Random(1)).segment(12).segment(12).seal();
  const other = new BuiltData(join(cwd, 'other'), new Random(2)).segment(5).segment(9).segment(4);
  other.seal();
  return { own, other };
}

t.test('segments of another service', (t) => {
  const { own, other } = build(t);
  const [, path = ''] = other.segments;
  const foreign = join(own.logFolder, basename(path));
  copyFileSync(path, foreign);
  const frames = other.frames.filter((frame) => frame.path === path);
  const fromSeq = frames[0]?.firstSeq ?? 0;
  const events = frames.reduce((sum, { count }) => sum + count, 0);
  const toSeq = fromSeq + events - 1;
  const givenTwice = Math.min(toSeq, own.events.length) - fromSeq + 1;
  t.ok(givenTwice > 0);

  const { code, text } = runCommand('verify', own.root);
  t.equal(code, 1);
  t.match(text, `${givenTwice} seqs from ${fromSeq} to ${toSeq} were given twice`);
  const repaired = repair(t, own);
  t.equal(repaired.code, 3);
  t.strictSame(repaired.report.foreign, [{ path: foreign, fromSeq, toSeq, events, givenTwice }]);
  t.match(repaired.text, `foreign      ${events} good events of another log`);
  t.match(repaired.text, 'WITH LOSSES');
  t.ok(repaired.report.nextSeq > toSeq, 'none is given a third time');
  t.end();
});

t.test('a copy of an own segment under another name loses nothing', (t) => {
  const { own } = build(t);
  const [, path = ''] = own.segments;
  copyFileSync(path, join(own.logFolder, '0000000000009999.seg'));
  const { code, report } = repair(t, own);
  t.strictSame(report.foreign, []);
  t.equal(report.isComplete, code === 0);
  renameSync(join(own.logFolder, '0000000000009999.seg'), join(own.root, 'x'));
  t.end();
});
