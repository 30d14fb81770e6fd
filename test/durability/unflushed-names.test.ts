/**
 * A killed process may leave names that can be read and were never flushed: of a segment, of the file
 * `newest`, of a checkpoint. Whoever goes on with them makes them durable first. And a name that was
 * to go must be gone before its content is.
 */
import t from 'tap';
import { checkCheckpoint, listCheckpoints } from '../../src/checkpoint/reader.ts';
import { applyRetention } from '../../src/checkpoint/retention.ts';
import { writeCheckpoint } from '../../src/checkpoint/writer.ts';
import type { FileSystem } from '../../src/log/file-system.ts';
import { readNewest } from '../../src/log/newest-file.ts';
import { listSegments } from '../../src/log/segment-headers.ts';
import { Random } from '../helpers/random.ts';
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

function checkpoint(files: FileSystem, replayFrom: number): void {
  const options = { folder: CHECKPOINT_FOLDER, shards: [], replayFrom, nowMs: 1 };
  const nothing = { log: undefined, windows: undefined, pause: () => undefined };
  writeCheckpoint({ files, ...options, ...nothing });
}

t.test('a checkpoint: its writer is killed at any call, the next one may find it', (t) => {
  const lost: string[] = [];
  let kills = 0;
  for (let calls = 0; calls < 12; calls++) {
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = emptyDisk();
      const process = killedAt(disk, calls, seed);
      if (isKilled(disk, () => checkpoint(new FaultyFiles(process), 7))) kills++;
      checkpoint(disk, 7);
      disk.powerLoss(new Random(seed));
      const found = checkCheckpoint(disk, CHECKPOINT_FOLDER, 7);
      if ('reason' in found) lost.push(`killed at call ${calls}: ${found.reason}`);
    }
  }
  t.same(lost, []);
  t.ok(kills > 5 * SEEDS, `${kills} kills`);
  t.end();
});

t.test('half a checkpoint never looks like one: its removal ends at any call', (t) => {
  const half: string[] = [];
  let kills = 0;
  for (let calls = 0; calls < 12; calls++) {
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = emptyDisk();
      for (const replayFrom of [1, 2, 3]) checkpoint(disk, replayFrom);
      const retention = {
        files: new FaultyFiles(killedAt(disk, calls, seed)),
        logFolder: LOG_FOLDER,
        checkpointFolder: CHECKPOINT_FOLDER,
        retention: { bytes: 0 },
        damaged: [],
        nowMs: 1,
        goOn: () => true,
      };
      if (isKilled(disk, () => applyRetention(retention))) kills++;
      if (seed % 2 === 0) disk.powerLoss(new Random(seed));
      for (const replayFrom of listCheckpoints(disk, CHECKPOINT_FOLDER)) {
        const found = checkCheckpoint(disk, CHECKPOINT_FOLDER, replayFrom);
        if ('reason' in found) half.push(`ended at call ${calls}: ${found.path}: ${found.reason}`);
      }
    }
  }
  t.same(half, []);
  t.ok(kills > 5 * SEEDS, `${kills} kills`);
  t.end();
});
