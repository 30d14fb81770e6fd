/**
 * The log ends anywhere inside its last frame: it is cut there, said so, and goes on; unless a
 * checkpoint has events of that frame.
 */
import t from 'tap';
import { writePart } from '../../src/checkpoint/part-writer.ts';
import { writeWindowsPart } from '../../src/checkpoint/windows-writer.ts';
import { LogDamagedError } from '../../src/log/log-damaged-error.ts';
import { SegmentWriter } from '../../src/log/segment-writer.ts';
import { Shard, shardSize } from '../../src/store/shard.ts';
import { Random } from '../helpers/models/random.ts';
import { ExpectedLog } from './expected-log.ts';
import { FaultyProcess } from './faulty-files.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER, RecoveredState } from './recovered-state.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { SimulatedProcess } from './simulated-process.ts';

const SEGMENT = `${LOG_FOLDER}/0000000000000001.seg`;

/** A log of batches with these many events, in one segment that was neither sealed nor filled up. */
function logOf(batches: readonly number[]) {
  const disk = new SimulatedDisk();
  for (const folder of [LOG_FOLDER, CHECKPOINT_FOLDER]) disk.makeFolder(folder);
  const expected = new ExpectedLog();
  let timeMs = 1;
  const life = new SimulatedProcess({
    process: new FaultyProcess(disk, new Random(1)),
    expected,
    state: new RecoveredState(0),
    segmentBytesMax: 1 << 16,
    retention: { bytes: 0 },
    nowMs: () => timeMs++,
    meanwhile: () => undefined,
  });
  life.start();
  for (const count of batches) {
    for (let i = 0; i < count; i++) {
      const occurredAtMs = timeMs++;
      // An id that fills its slot: zeros can't stand for any of the frame's last bytes.
      const productId = `p${i}`.padEnd(64, '-');
      life.push({ seq: 0, productId, price: occurredAtMs, stock: i, occurredAtMs }, 'live');
    }
    life.commit();
  }
  life.close();
  return { disk, expected, state: life.state };
}

function contentOf(disk: SimulatedDisk) {
  const file = disk.files(LOG_FOLDER).find(({ path }) => path === SEGMENT);
  if (file === undefined) throw new Error(`no ${SEGMENT}`);
  return file.node;
}

for (const zeros of [0, 700]) {
  t.test(`truncated at every byte of its last frame, ${zeros} zeros behind it`, (t) => {
    const { disk, expected } = logOf([1, 2, 3]);
    const whole = contentOf(disk).cached.length;
    const start = contentOf(logOf([1, 2]).disk).cached.length;
    const failed: string[] = [];
    for (let end = start; end < whole; end++) {
      const torn = disk.copy();
      const node = contentOf(torn);
      node.truncate(end);
      node.truncate(end + zeros);
      const state = new RecoveredState(0);
      try {
        const tail = state.recover(torn);
        expected.checkCut(state, 4);
        const told = state.told.find(({ type }) => type === 'torn-tail');
        const isSaid = told?.type === 'torn-tail' && told.offsetBytes === start;
        if (isSaid !== end > start) failed.push(`at byte ${end}: told ${JSON.stringify(told)}`);
        if (tail.segment?.endBytes !== start) failed.push(`at byte ${end}: goes on elsewhere`);
      } catch (error) {
        failed.push(`at byte ${end}: ${(error as Error).message}`);
      }
    }
    t.equal(whole - start, 64 + 3 * 128);
    t.same(failed, []);
    t.end();
  });
}

t.test('nothing is left of what was cut when the log goes on', (t) => {
  const { disk } = logOf([1, 3]);
  const node = contentOf(disk);
  node.truncate(node.cached.length - 1);
  const { segment, lastFrameBytes } = new RecoveredState(0).recover(disk);
  if (segment === undefined) throw new Error('no segment');
  SegmentWriter.reopen(disk, LOG_FOLDER, segment, lastFrameBytes, 1 << 16);
  t.equal(node.cached.length, segment.endBytes);
  t.end();
});

for (const known of ['in an entry', 'as an outcome'] as const) {
  t.test(`a checkpoint has the last frame's event ${known}: then it is damage`, (t) => {
    const { disk, state } = logOf([1, 1, 1]);
    state.apply();
    const { dedupe, memory, outcomeWindow } = state;
    const outcomes = { window: outcomeWindow, nextSeq: () => 4, waitUntilApplied: () => undefined };
    const isEntry = known === 'in an entry';
    const shards = memory.shards.map((buffer) => new Shard(buffer));
    const common = {
      files: disk,
      folder: CHECKPOINT_FOLDER,
      replayFrom: 3,
      nowMs: 1,
      log: undefined,
      pause: () => undefined,
    };
    const noOutcomes = { firstSeq: 1, bytes: new Uint8Array(0) };
    writeWindowsPart({
      ...common,
      windows: { dedupe, receipts: undefined, outcomes: isEntry ? undefined : outcomes },
    });
    for (let shard = 0; shard < shards.length; shard++) {
      writePart({
        ...common,
        key: memory.hashKey,
        // As they are, and as if the event had not changed any.
        shards: isEntry ? shards : shards.map(() => Shard.create(shardSize(4096))),
        shard,
        outcomes: () => noOutcomes,
        flushBytes: () => 1,
      });
    }
    t.equal(new RecoveredState(0).recover(disk.copy()).nextSeq, 4);
    const node = contentOf(disk);
    node.truncate(node.cached.length - 1);
    const recover = () => new RecoveredState(0).recover(disk);
    t.throws(recover, LogDamagedError);
    t.throws(recover, { message: /the log ends before seq 3, but a checkpoint holds seq 3/ });
    t.end();
  });
}
