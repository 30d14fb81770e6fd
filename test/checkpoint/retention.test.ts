/** What is removed after a checkpoint, in steps that can be given up between any two. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { applyRetention } from '../../src/checkpoint/retention.ts';
import type { LogRetention } from '../../src/log/event-log.ts';
import { type FileHandle, NodeFileSystem } from '../../src/log/file-system.ts';
import { KeptSegments } from '../../src/log/kept-segments.ts';
import { LogHolds } from '../../src/log/log-holds.ts';
import { BUILT_SET, BuiltData, namesOf } from '../helpers/disks/built-data.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { runCommand } from '../helpers/processes/run-command.ts';

t.test('goes on where it was told to stop, and the folder is whole at each step', (t) => {
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(testSeed()));
  for (let n = 0; n < 4; n++) data.segment(3).checkpoint();
  data.seal();
  const steps: boolean[] = [];
  const step = (most: number) =>
    applyRetention({
      files: new NodeFileSystem(),
      log: new KeptSegments(new NodeFileSystem(), data.logFolder),
      checkpointFolder: data.checkpointFolder,
      set: BUILT_SET,
      retention: { bytes: 0 },
      damaged: [],
      nowMs: 1,
      goOn: () => {
        t.equal(runCommand('verify', data.root).code, 0);
        steps.push(true);
        return steps.length < most;
      },
    });
  t.same(step(1), { checkpoints: 1, segments: 0 });
  t.same(step(11), { checkpoints: 9, segments: 1 }, 'of two: four parts and the windows');
  t.same(step(Number.POSITIVE_INFINITY), { checkpoints: 0, segments: 2 });
  t.same(step(Number.POSITIVE_INFINITY), { checkpoints: 0, segments: 0 });
  t.equal(steps.length, 13);
  t.end();
});

t.test(
  'a damaged checkpoint covers nothing: two whole ones are kept, and the log behind both',
  (t) => {
    const data = new BuiltData(join(tempDir(t), 'data'), new Random(testSeed()));
    for (let n = 0; n < 4; n++) data.segment(3).checkpoint();
    data.seal();
    const [, second, third, newest] = data.checkpoints as [number, number, number, number];
    const apply = (damaged: readonly number[]) =>
      applyRetention({
        files: new NodeFileSystem(),
        log: new KeptSegments(new NodeFileSystem(), data.logFolder),
        checkpointFolder: data.checkpointFolder,
        set: BUILT_SET,
        retention: { bytes: 0 },
        damaged: damaged.flatMap(namesOf),
        nowMs: 1,
        goOn: () => true,
      });
    t.same(apply([second, third, newest]), { checkpoints: 0, segments: 0 });
    t.same(apply([second, third]), { checkpoints: 0, segments: 1 }, 'the oldest is the second');
    t.same(apply([third]), { checkpoints: 5, segments: 1 });
    t.same(apply([]), { checkpoints: 5, segments: 1 });
    t.end();
  },
);

t.test('a segment that no checkpoint needs stays as long as LOG_RETENTION asks for it', (t) => {
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(testSeed()));
  for (let n = 0; n < 4; n++) data.segment(3).checkpoint();
  data.seal();
  const removed = (retention: LogRetention, nowMs: number) =>
    applyRetention({
      files: new NodeFileSystem(),
      log: new KeptSegments(new NodeFileSystem(), data.logFolder),
      checkpointFolder: data.checkpointFolder,
      set: BUILT_SET,
      retention,
      damaged: [],
      nowMs,
      goOn: () => true,
    }).segments;
  const ageMs = 1000;
  // The built data's clock is its seq: the first segment's events are all older than the second one.
  const [secondMs] = data.checkpoints as [number];
  t.equal(removed({ ageMs }, secondMs + ageMs - 1), 0, 'its last event may be as young as that');
  t.equal(removed({ ageMs }, secondMs + ageMs), 1);
  const bytes = data.segments.slice(2).reduce((sum, path) => sum + statSync(path).size, 0);
  t.equal(removed({ bytes: bytes + 1 }, 0), 0);
  t.equal(removed({ bytes }, 0), 1);
  t.end();
});

t.test('however many segments may go, each is opened once to see how long it is', (t) => {
  const segments = 40;
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(testSeed()));
  for (let n = 0; n < segments; n++) data.segment(1);
  data.seal();
  const [last] = data.segments.slice(-1) as [string];
  const opened: string[] = [];
  class CountingFiles extends NodeFileSystem {
    override openForReading(path: string): FileHandle {
      opened.push(path);
      return super.openForReading(path);
    }
  }
  const log = new KeptSegments(new CountingFiles(), data.logFolder);
  const holds = new LogHolds(LogHolds.create());
  // Somebody who needs all of it, and may not have it: how much that is, is asked for each as well.
  holds.hold(1, statSync(last).size);
  const rule = { retention: { bytes: 0 }, holds, nowMs: 0, goOn: () => true };
  t.same(log.release(data.nextSeq, rule), { segments: segments - 1 });
  t.same(opened.sort(), data.segments, 'each once');
  t.end();
});

t.test('until there are two of each part, nothing goes of what they need beside them', (t) => {
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(testSeed()));
  for (let n = 0; n < 3; n++) data.segment(3).checkpoint();
  data.seal();
  const [, , newest] = data.checkpoints as [number, number, number];
  const removed = (damaged: readonly string[], set = BUILT_SET) =>
    applyRetention({
      files: new NodeFileSystem(),
      log: new KeptSegments(new NodeFileSystem(), data.logFolder),
      checkpointFolder: data.checkpointFolder,
      set,
      retention: { bytes: 0 },
      damaged,
      nowMs: 1,
      goOn: () => true,
    });
  const others = { ...BUILT_SET, shards: 5 };
  t.same(removed([], others), { checkpoints: 1, segments: 0 }, 'windows are of no key');
  const [, part] = namesOf(newest) as [string, string];
  const { checkpoints, segments } = removed([part]);
  t.same(
    { checkpoints, segments },
    { checkpoints: 3, segments: 1 },
    'the oldest is the second of one',
  );
  t.end();
});

t.test('a segment from the future is as old as the next one that is not, or as now', (t) => {
  const ageMs = 1000;
  const nowMs = 1_000_000;
  const future = nowMs + 1500 * 86_400_000;
  const kept = (...createdAtMs: number[]) => {
    const data = new BuiltData(join(tempDir(t), 'data'), new Random(testSeed()));
    for (const ms of createdAtMs) data.segment(3, ms).checkpoint();
    data.seal();
    const { segments, futureSegments } = applyRetention({
      files: new NodeFileSystem(),
      log: new KeptSegments(new NodeFileSystem(), data.logFolder),
      checkpointFolder: data.checkpointFolder,
      set: BUILT_SET,
      retention: { ageMs },
      damaged: [],
      nowMs,
      goOn: () => true,
    });
    t.equal(runCommand('verify', data.root).code, 0);
    return [segments, futureSegments];
  };
  const [old, young] = [nowMs - ageMs, nowMs - ageMs + 1];
  t.same(kept(future, future, future, old, old), [4, 3], 'all before the one that is known');
  t.same(kept(future, future, future, young, young), [0, 3]);
  t.same(kept(old, old, future, future, future), [1, 3], 'the second is known, the third is not');
  t.same(kept(future, future, future, future), [0, 4], 'they may all be of now');
  t.same(kept(young, 0, 0, 0, 0), [0, undefined], 'a clock that was behind makes none older');
  t.same(kept(old, old, old, old), [3, undefined]);
  t.end();
});
