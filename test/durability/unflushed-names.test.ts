/**
 * A killed process may leave names that can be read and were never flushed: of a segment, of the file
 * `newest`, of a checkpoint. Whoever goes on with them makes them durable first. And a name that was
 * to go must be gone before its content is.
 */
import t from 'tap';
import { windowsName } from '../../src/checkpoint/format.ts';
import { readTail } from '../../src/checkpoint/part-files.ts';
import { keyNameOf } from '../../src/checkpoint/part-format.ts';
import { writePart } from '../../src/checkpoint/part-writer.ts';
import { checkCheckpoint, listWindows } from '../../src/checkpoint/reader.ts';
import { applyRetention } from '../../src/checkpoint/retention.ts';
import { writeWindowsPart } from '../../src/checkpoint/windows-writer.ts';
import { DedupeWindow } from '../../src/dedupe/dedupe-window.ts';
import type { FileSystem } from '../../src/log/file-system.ts';
import { KeptSegments } from '../../src/log/kept-segments.ts';
import { readNewest } from '../../src/log/newest-file.ts';
import { listSegments } from '../../src/log/segment-headers.ts';
import { Shard, shardSize } from '../../src/store/shard.ts';
import { Random } from '../helpers/models/random.ts';
import { ExpectedLog } from './expected-log.ts';
import { Ended, FaultyFiles, FaultyProcess } from './faulty-files.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER, RecoveredState } from './recovered-state.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { SimulatedProcess } from './simulated-process.ts';

const CALLS_MAX = 60;
const SEEDS = 20;

function emptyDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  for (const folder of [LOG_FOLDER, CHECKPOINT_FOLDER]) disk.makeFolder(folder);
  for (const folder of ['/', '/data']) disk.syncFolder(folder);
  return disk;
}

/** A process on `disk` that is killed behind the call with this number, and its seed's luck. */
function killedAt(disk: SimulatedDisk, calls: number, seed: number): FaultyProcess {
  const process = new FaultyProcess(disk, new Random(seed));
  process.faults = [{ from: calls, calls: 1, kind: 'end-after' }];
  return process;
}

/** Runs `work` until it is done or its process is killed, and says whether it was. */
function isKilled(disk: SimulatedDisk, work: () => void): boolean {
  try {
    work();
    return false;
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    return true;
  } finally {
    disk.processEnds();
  }
}

/** Each of `events` goes to a segment of its own. */
function live(process: FaultyProcess, expected: ExpectedLog, events: number): void {
  let timeMs = 1;
  const life = new SimulatedProcess({
    process,
    expected,
    state: new RecoveredState(0),
    segmentBytesMax: 300,
    retention: { bytes: 0 },
    nowMs: () => timeMs++,
    meanwhile: () => undefined,
  });
  try {
    life.start();
    for (let n = 0; n < events; n++) {
      life.push({ seq: 0, productId: 'p', price: 1, stock: 1, occurredAtMs: 1 }, 'live');
      life.commit();
    }
  } finally {
    life.close();
  }
}

function namesIn(disk: SimulatedDisk): string {
  return `${listSegments(disk, LOG_FOLDER)}; newest: ${readNewest(disk, LOG_FOLDER)}`;
}

t.test('the log: a process is killed at any call, the next one only starts', (t) => {
  const lost: string[] = [];
  let kills = 0;
  for (let calls = 0; calls < CALLS_MAX; calls++) {
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = emptyDisk();
      const expected = new ExpectedLog();
      if (isKilled(disk, () => live(killedAt(disk, calls, seed), expected, 3))) kills++;
      live(new FaultyProcess(disk, new Random(seed)), expected, 0);
      const names = namesIn(disk);
      disk.powerLoss(new Random(seed));
      if (namesIn(disk) !== names)
        lost.push(`killed at call ${calls}: ${names} → ${namesIn(disk)}`);
    }
  }
  t.same(lost, []);
  t.ok(kills > 40 * SEEDS, `${kills} kills`);
  t.end();
});

const KEY = { k0: 1, k1: 2 };
const SET = { keyName: keyNameOf(KEY), shards: 1 };

/** Windows, and the part of the only shard. */
function checkpoint(files: FileSystem, replayFrom: number): void {
  const common = {
    files,
    folder: CHECKPOINT_FOLDER,
    replayFrom,
    nowMs: 1,
    log: undefined,
    pause: () => undefined,
  };
  const dedupe = new DedupeWindow(DedupeWindow.create(1, 0, 1), KEY);
  writeWindowsPart({ ...common, windows: { dedupe, receipts: undefined, outcomes: undefined } });
  writePart({
    ...common,
    key: KEY,
    shards: [Shard.create(shardSize(4096))],
    shard: 0,
    outcomes: () => ({ firstSeq: 1, bytes: new Uint8Array(2) }),
    flushBytes: () => 1,
  });
}

/** What is wrong with the windows and the part of this seq. */
function faultsOf(disk: SimulatedDisk, replayFrom: number): string[] {
  const windows = checkCheckpoint(disk, CHECKPOINT_FOLDER, replayFrom, windowsName(replayFrom));
  const part = readTail(disk, CHECKPOINT_FOLDER, { ...SET, shard: 0, replayFrom });
  return [windows, part].flatMap((found) =>
    'reason' in found ? [`${found.path}: ${found.reason}`] : [],
  );
}

t.test('windows and a part: their writer is killed at any call, the next one may find it', (t) => {
  const lost: string[] = [];
  let kills = 0;
  for (let calls = 0; calls < 25; calls++) {
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = emptyDisk();
      const process = killedAt(disk, calls, seed);
      if (isKilled(disk, () => checkpoint(new FaultyFiles(process), 7))) kills++;
      checkpoint(disk, 7);
      disk.powerLoss(new Random(seed));
      for (const fault of faultsOf(disk, 7)) lost.push(`killed at call ${calls}: ${fault}`);
    }
  }
  t.same(lost, []);
  t.ok(kills > 5 * SEEDS, `${kills} kills`);
  t.end();
});

t.test('half of it never looks like all: a removal ends at any call', (t) => {
  const half: string[] = [];
  let kills = 0;
  for (let calls = 0; calls < 12; calls++) {
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = emptyDisk();
      for (const replayFrom of [1, 2, 3]) checkpoint(disk, replayFrom);
      const files = new FaultyFiles(killedAt(disk, calls, seed));
      const retention = {
        files,
        log: new KeptSegments(files, LOG_FOLDER),
        checkpointFolder: CHECKPOINT_FOLDER,
        set: SET,
        retention: { bytes: 0 },
        damaged: [],
        nowMs: 1,
        goOn: () => true,
      };
      if (isKilled(disk, () => applyRetention(retention))) kills++;
      if (seed % 2 === 0) disk.powerLoss(new Random(seed));
      for (const replayFrom of [...listWindows(disk, CHECKPOINT_FOLDER), 2, 3]) {
        const faults = faultsOf(disk, replayFrom);
        // The oldest part is one file, which goes at once.
        const others = replayFrom === 1 ? faults.filter((fault) => !/part-/.test(fault)) : faults;
        for (const fault of others) half.push(`ended at call ${calls}: ${fault}`);
      }
    }
  }
  t.same(half, []);
  t.ok(kills > 5 * SEEDS, `${kills} kills`);
  t.end();
});
