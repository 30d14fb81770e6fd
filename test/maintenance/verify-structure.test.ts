/** `verify` where files are missing, swapped, foreign or cut: what it says, and if a start would go. */
import { appendFileSync, copyFileSync, cpSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { VerifySummary } from '../../src/maintenance/verify-report.ts';
import { BuiltData, namesOf } from '../helpers/disks/built-data.ts';
import { folderState } from '../helpers/disks/folder-state.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { runCommand } from '../helpers/processes/run-command.ts';

const seed = testSeed();

/** Three segments, two checkpoints: one in the middle and one at the end. */
function build(t: Test): BuiltData {
  return fill(new BuiltData(join(tempDir(t), 'data'), new Random(seed)));
}

function fill(data: BuiltData): BuiltData {
  return data.segment(12).checkpoint().segment(12).segment(12).checkpoint(3).seal();
}

function verify(data: BuiltData): VerifySummary & { readonly code: number } {
  const { code, text } = runCommand('verify', data.root, '--json');
  return { ...JSON.parse(text), code };
}

const STRUCTURAL: readonly {
  readonly name: string;
  readonly damage: (data: BuiltData) => void;
  readonly reason: RegExp;
  readonly starts: boolean;
}[] = [
  {
    name: 'the oldest segment is missing, which no start needs',
    damage: (data) => rmSync(data.segments[0]),
    reason: /^$/,
    starts: true,
  },
  {
    name: 'a segment in the middle is missing',
    damage: (data) => rmSync(data.segments[1]),
    reason: /it follows \d+\.seg, which is missing/,
    starts: false,
  },
  {
    name: 'the newest segment is missing',
    damage: (data) => rmSync(data.segments[2]),
    reason: /the segment is missing/,
    starts: false,
  },
  {
    name: 'all segments are missing',
    damage: (data) => {
      for (const path of data.segments) rmSync(path);
    },
    reason: /no segment is there/,
    starts: false,
  },
  {
    name: 'two segments are swapped',
    damage: (data) => swap(data.segments[1], data.segments[2]),
    reason: /it says that it starts with seq/,
    starts: false,
  },
  {
    name: 'a segment of another log stands in the place of the last',
    damage: (data) => {
      const other = new BuiltData(`${data.root}-other`, new Random(seed));
      other.segment(12).segment(12).segment(12).seal();
      copyFileSync(other.segments[2], data.segments[2]);
    },
    reason: /does not belong to this log/,
    starts: false,
  },
  {
    name: 'a log whose numbers fit stands in the place of the own one',
    damage: (data) => cpSync(twinOf(data).logFolder, data.logFolder, { recursive: true }),
    reason: /it does not belong to this log/,
    starts: false,
  },
  {
    name: 'a checkpoint whose numbers fit stands in the place of the newest',
    damage: (data) => {
      copyCheckpoint(twinOf(data), data, data.checkpoints.at(-1) as number);
    },
    reason: /it does not belong to this log/,
    starts: false,
  },
  {
    name: 'a checkpoint whose numbers fit stands in the place of the older one, which no start needs',
    damage: (data) => {
      copyCheckpoint(twinOf(data), data, data.checkpoints[0]);
    },
    reason: /it does not belong to this log/,
    starts: true,
  },
  {
    name: 'a segment is cut',
    damage: (data) => truncateSync(data.segments[1], 500),
    reason: /ends inside a frame|whole frame|frame/,
    starts: true,
  },
  {
    name: 'the end of the log is cut, of which a checkpoint knows',
    damage: (data) => {
      const frame = data.frames.findLast(({ count }) => count > 0);
      truncateSync(frame?.path as string, (frame?.offsetBytes as number) + 10);
    },
    reason: /the log ends before seq \d+, but a checkpoint holds seq/,
    starts: false,
  },
  {
    name: 'the file newest is missing',
    damage: (data) => rmSync(join(data.logFolder, 'newest')),
    reason: /the file is missing/,
    starts: true,
  },
  {
    name: 'all checkpoints are missing, and the log is whole',
    damage: (data) => rmSync(data.checkpointFolder, { recursive: true }),
    reason: /^$/,
    starts: true,
  },
  {
    name: 'a part is missing: the one before it serves',
    damage: (data) => rmSync(newest(data, 2)),
    reason: /^$/,
    starts: true,
  },
  {
    name: 'both parts of a shard are missing, and the log from its beginning is there',
    damage: (data) => {
      for (const seq of data.checkpoints) {
        rmSync(join(data.checkpointFolder, namesOf(seq)[2]));
      }
    },
    reason: /^$/,
    starts: true,
  },
  {
    name: 'both parts of a shard are missing, and the log begins later',
    damage: (data) => {
      rmSync(data.segments[0]);
      for (const seq of data.checkpoints) {
        rmSync(join(data.checkpointFolder, namesOf(seq)[2]));
      }
    },
    reason: /no checkpoint covers what was before/,
    starts: false,
  },
  {
    name: 'a manifest of windows is missing',
    damage: (data) => rmSync(join(newest(data, 0), 'manifest.json')),
    reason: /the manifest is missing/,
    starts: true,
  },
  {
    name: 'the manifest of other windows',
    damage: (data) => {
      const older = namesOf(data.checkpoints[0])[0];
      copyFileSync(
        join(data.checkpointFolder, older, 'manifest.json'),
        join(newest(data, 0), 'manifest.json'),
      );
    },
    reason: /it belongs to seq/,
    starts: true,
  },
  {
    name: 'a part under the name of another',
    damage: (data) => copyFileSync(newest(data, 1), newest(data, 2)),
    reason: /it is part-[0-9a-f]{8}-0004-0000-\d{16}.ckp, by its header/,
    starts: true,
  },
  {
    name: 'a part is longer than it was',
    damage: (data) => appendFileSync(newest(data, 2), 'x'),
    reason: /the header says/,
    starts: true,
  },
  {
    name: 'a part is cut',
    damage: (data) => truncateSync(newest(data, 2), 5000),
    reason: /the header says/,
    starts: true,
  },
];

/** Another data folder with the same events, in the same frames, under the same names. */
function twinOf(data: BuiltData): BuiltData {
  return fill(new BuiltData(`${data.root}-twin`, new Random(seed)));
}

/** Path of something of the newest checkpoint: 0 the windows, then its parts. */
function newest(data: BuiltData, index: number): string {
  return join(data.checkpointFolder, namesOf(data.checkpoints.at(-1) as number)[index]);
}

function copyCheckpoint(from: BuiltData, to: BuiltData, replayFrom: number): void {
  for (const name of namesOf(replayFrom)) {
    const target = join(to.checkpointFolder, name);
    cpSync(join(from.checkpointFolder, name), target, { recursive: true });
  }
}

function swap(a: string, b: string): void {
  renameSync(a, `${a}.x`);
  renameSync(b, a);
  renameSync(`${a}.x`, b);
}

for (const { name, damage, reason, starts } of STRUCTURAL) {
  t.test(name, (t) => {
    const data = build(t);
    damage(data);
    const before = folderState(data.root);
    const { code, faults, wouldStart, refusal } = verify(data);
    const isDamage = reason.source !== '^$';
    t.equal(code, isDamage ? 1 : 0, JSON.stringify(faults));
    t.equal(wouldStart, starts, refusal ?? 'it would start');
    if (isDamage)
      t.ok(
        faults.some((fault) => reason.test(fault.reason)),
        JSON.stringify(faults),
      );
    t.strictSame(folderState(data.root), before, 'nothing was written');
    t.end();
  });
}
