/** A checkpoint of format 1 whose files are right by themselves and not together is found out. */
import { crc32 } from 'node:zlib';
import t from 'tap';
import { CHECKPOINT_HEADER_BYTES, checkpointName } from '../../src/checkpoint/format.ts';
import { checkCheckpoint } from '../../src/checkpoint/reader.ts';
import { FRAME_HEADER_BYTES, frameBytes } from '../../src/log/format.ts';
import { ENTRY_PRICE, SHARD_USED, Shard, shardSize } from '../../src/store/shard.ts';
import { SimulatedDisk } from '../durability/simulated-disk.ts';
import { writeOldCheckpoint } from './old-checkpoint.ts';

const FOLDER = '/checkpoint';
/** In two frames. */
const ENTRIES = 5000;

function write(disk: SimulatedDisk, replayFrom: number): void {
  const shard = Shard.create(shardSize(1 << 20));
  Atomics.store(shard.words, SHARD_USED, ENTRIES);
  writeOldCheckpoint({ files: disk, folder: FOLDER, shards: [shard], replayFrom });
}

function written(): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.makeFolder(FOLDER);
  write(disk, 7);
  return disk;
}

/** The bytes of its shard, to be changed in place. */
function shardOf(disk: SimulatedDisk): Buffer {
  const file = disk.files(FOLDER).find(({ path }) => path.endsWith('shard-0000.ckp'));
  if (file === undefined) throw new Error('no shard');
  return file.node.cached;
}

/** Changes an entry of the frame at `at`, and its checksum with it. */
function replaceFrame(bytes: Buffer, at: number): void {
  const end = at + frameBytes(bytes.readUInt32LE(at + 16));
  bytes.writeDoubleLE(1.5, at + FRAME_HEADER_BYTES + ENTRY_PRICE * 4);
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 8, end)), at + 4);
}

function reasonOf(disk: SimulatedDisk, replayFrom = 7): string {
  const found = checkCheckpoint(disk, FOLDER, replayFrom);
  return 'reason' in found ? found.reason : 'it is whole';
}

t.test('a frame replaced by another one that is right by itself', (t) => {
  const disk = written();
  t.equal(reasonOf(disk), 'it is whole');
  const first = CHECKPOINT_HEADER_BYTES;
  const last = first + frameBytes(shardOf(disk).readUInt32LE(first + 16));
  t.ok(last < shardOf(disk).length);
  const replaced = (at: number) => {
    const copy = disk.copy();
    replaceFrame(shardOf(copy), at);
    return copy;
  };
  t.match(reasonOf(replaced(first)), /the frame does not follow/, 'the next one tells');
  t.match(reasonOf(replaced(last)), /the manifest says/, 'the manifest tells');
  t.end();
});

t.test('a checkpoint under the name of another', (t) => {
  const disk = written();
  disk.rename(`${FOLDER}/${checkpointName(7)}`, `${FOLDER}/${checkpointName(9)}`);
  t.equal(reasonOf(disk, 9), 'it belongs to seq 7');
  t.end();
});
