/** Keys and outcomes come back from a checkpoint: the newest that fit, never a wrong one. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { windowsName } from '../../src/checkpoint/format.ts';
import { checkCheckpoint, readCheckpoint } from '../../src/checkpoint/reader.ts';
import type { CheckpointWindows, OutcomesSource } from '../../src/checkpoint/windows.ts';
import { writeWindowsPart } from '../../src/checkpoint/windows-writer.ts';
import { DedupeWindow, KEY_UNKNOWN } from '../../src/dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../../src/dedupe/receipt-window.ts';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { OutcomeWindow } from '../../src/outcome/outcome-window.ts';
import { Replay } from '../../src/recovery/replay.ts';
import { CommitRing } from '../../src/ring/commit-ring.ts';
import { IntakeRing } from '../../src/ring/intake-ring.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

const KEY = { k0: 1, k1: 2 };
const UNCOMMITTED_MAX = 1;

function outcomeWindow(events: number): OutcomeWindow {
  return new OutcomeWindow(OutcomeWindow.create(events));
}

function dedupeWindow(events: number): DedupeWindow {
  return new DedupeWindow(DedupeWindow.create(events, 0, UNCOMMITTED_MAX), KEY);
}

function outcomeAt(seq: number): number {
  return 1 + (seq % 4);
}

/** All events before `nextSeq` are applied. */
function settled(window: OutcomeWindow, nextSeq: number): OutcomesSource {
  for (let seq = 1; seq < nextSeq; seq++) window.store(seq, outcomeAt(seq));
  return { window, nextSeq: () => nextSeq, waitUntilApplied: () => undefined };
}

function wordsOf(seq: number): Int32Array {
  return Int32Array.of(...fingerprintKey('event', `key ${seq}`), seq);
}

interface Restored {
  readonly outcomes: OutcomeWindow;
  readonly dedupe: DedupeWindow;
  readonly receipts: ReceiptWindow;
}

/** Writes a checkpoint without products, and reads it into empty windows of these sizes. */
function restored(
  t: Test,
  windows: CheckpointWindows,
  { replayFrom, nextSeq, events }: { replayFrom: number; nextSeq: number; events: number },
): Restored {
  const files = new NodeFileSystem();
  const folder = join(tempDir(t), 'checkpoint');
  files.makeFolder(folder);
  const rest = { nowMs: 1, log: undefined, pause: () => undefined };
  writeWindowsPart({ files, folder, replayFrom, windows, ...rest });
  const checked = checkCheckpoint(files, folder, replayFrom, windowsName(replayFrom));
  if ('reason' in checked) throw new Error(checked.reason);
  const receipts = new ReceiptWindow(ReceiptWindow.createFor(4), KEY);
  const into = { outcomes: outcomeWindow(events), dedupe: dedupeWindow(events), receipts };
  const commits = new CommitPublisher(CommitRing.create(1, 1));
  const target = { ...into, shards: [], hashKey: KEY };
  const replay = new Replay(IntakeRing.create(1), commits, target);
  readCheckpoint(files, checked, {
    entries: () => t.fail('there are none'),
    keys: (entries, count) => replay.keys(entries, count),
    receipts: (slots, first, count) => replay.receipts(slots, first, count),
    outcomes: (firstSeq, bytes) => replay.outcomes(firstSeq, bytes, nextSeq),
  });
  return into;
}

for (const [before, after] of [
  [8, 8],
  [32, 8],
  [8, 32],
  [1 << 19, 1 << 20],
] as const) {
  t.test(`a window of ${before} events, then one of ${after}`, (t) => {
    const nextSeq = before + 22;
    const dedupe = dedupeWindow(before);
    for (let seq = 1; seq < nextSeq; seq++) dedupe.add(wordsOf(seq), 0, seq);
    const replayFrom = nextSeq - 3;
    const windows = {
      dedupe,
      receipts: undefined,
      outcomes: settled(outcomeWindow(before), nextSeq),
    };
    const known = restored(t, windows, { replayFrom, nextSeq, events: after });

    const wrong: number[] = [];
    for (let seq = Math.max(1, nextSeq - after); seq < nextSeq; seq++) {
      const expected = seq >= nextSeq - before ? outcomeAt(seq) : 0;
      if (known.outcomes.load(seq) !== expected) wrong.push(seq);
    }
    t.same(wrong, [], 'outcomes');
    const keys: number[] = [];
    const kept = Math.min(dedupe.capacity, known.dedupe.capacity);
    for (let seq = 1; seq < nextSeq; seq++) {
      const isKnown =
        seq < replayFrom && seq >= Math.max(nextSeq - dedupe.capacity, replayFrom - kept);
      if (known.dedupe.seqOf(wordsOf(seq), 0) !== (isKnown ? seq : KEY_UNKNOWN)) keys.push(seq);
    }
    t.same(keys, [], 'keys before the replay seq, and no others');
    t.end();
  });
}

t.test('the log is longer than what the checkpoint knows', (t) => {
  const windows = {
    dedupe: dedupeWindow(1),
    receipts: undefined,
    outcomes: settled(outcomeWindow(8), 20),
  };
  const known = restored(t, windows, { replayFrom: 18, nextSeq: 24, events: 8 });
  t.same(
    [16, 17, 18, 19, 20, 21, 22, 23].map((seq) => known.outcomes.load(seq)),
    [16, 17, 18, 19].map(outcomeAt).concat([0, 0, 0, 0]),
    'the places of later events are theirs',
  );
  t.end();
});

t.test('outcomes that are overwritten while they are copied are left out', (t) => {
  const window = outcomeWindow(8);
  const source = settled(window, 20);
  const calls: string[] = [];
  let nextSeq = 20;
  const outcomes: OutcomesSource = {
    window,
    nextSeq: () => {
      calls.push('next seq');
      return nextSeq;
    },
    waitUntilApplied: (seq) => {
      calls.push(`wait for ${seq}`);
      // Meanwhile the service goes on: two of the window's events are not the last eight any more.
      for (; nextSeq < 22; nextSeq++) window.store(nextSeq, 4);
      source.waitUntilApplied(seq);
    },
  };
  const known = restored(
    t,
    { dedupe: dedupeWindow(1), receipts: undefined, outcomes },
    { replayFrom: 18, nextSeq: 20, events: 8 },
  );
  t.same(calls, ['next seq', 'wait for 20', 'next seq']);
  t.same(
    [12, 13, 14, 19].map((seq) => known.outcomes.load(seq)),
    [0, 0, outcomeAt(14), outcomeAt(19)],
  );
  t.end();
});

t.test('a checkpoint gives up when the appliers stand still', (t) => {
  const outcomes: OutcomesSource = {
    ...settled(outcomeWindow(8), 3),
    waitUntilApplied: () => {
      throw new Error('they stand still');
    },
  };
  t.throws(
    () =>
      restored(
        t,
        { dedupe: dedupeWindow(1), receipts: undefined, outcomes },
        { replayFrom: 1, nextSeq: 3, events: 8 },
      ),
    /they stand still/,
  );
  t.end();
});
