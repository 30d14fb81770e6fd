/** Runs of a data folder: which of them an event is of, over restarts, copies and damage. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { beginRun, eventOf, writeTimeline } from '../../src/sinks/timeline.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

const files = new NodeFileSystem();

t.test('an event is of the run that committed it, after any number of starts', async (t) => {
  const root = tempDir(t);
  const first = beginRun(files, root, 1);
  const second = beginRun(files, root, 10);
  t.same(eventOf(second, 9), eventOf(first, 9));
  t.not(eventOf(second, 10).run, eventOf(first, 10).run);
  t.same(eventOf(first, 0), { seq: 0, run: '' }, 'before all');
  const third = beginRun(files, root, 10);
  t.equal(third.length, 2, 'one without events is forgotten');
  t.not(eventOf(third, 10).run, eventOf(second, 10).run);
});

t.test('two copies that go on give the same seq to events of two runs', async (t) => {
  const [one, two] = [tempDir(t), tempDir(t)];
  const before = beginRun(files, one, 1);
  writeTimeline(files, two, before);
  const [left, right] = [beginRun(files, one, 5), beginRun(files, two, 5)];
  t.same(eventOf(left, 4), eventOf(right, 4));
  t.not(eventOf(left, 5).run, eventOf(right, 5).run);
});

t.test('a damaged file stops the start', async (t) => {
  const root = tempDir(t);
  beginRun(files, root, 1);
  writeFileSync(join(root, 'sinks', 'runs'), '[{');
  t.throws(() => beginRun(files, root, 2), /runs is damaged/);
});
