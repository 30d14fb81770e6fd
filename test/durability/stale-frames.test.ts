/**
 * Frames that are whole and yet do not belong: what a lost or misdirected write, or room that a
 * former file had, leaves on a disk. Checksums say nothing about these; nonce, offset and chain do.
 */
import t from 'tap';
import { FRAME_HEADER_BYTES, frameBytes, segmentName } from '../../src/log/format.ts';
import { LogDamagedError } from '../../src/log/log-damaged-error.ts';
import { readLog } from '../../src/log/segment-reader.ts';
import { SegmentWriter } from '../../src/log/segment-writer.ts';
import { SlotViews } from '../../src/ring/slot.ts';
import { putEvent } from '../helpers/models/plain-event.ts';
import { LOG_FOLDER } from './recovered-state.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const BYTES_MAX = 1 << 16;
const FRAME_BYTES = frameBytes(1);
const FIRST_FRAME = 128;

function newLog(disk = new SimulatedDisk()): { disk: SimulatedDisk; writer: SegmentWriter } {
  disk.makeFolder(LOG_FOLDER);
  return { disk, writer: SegmentWriter.create(disk, LOG_FOLDER, 1, undefined, BYTES_MAX, 0) };
}

function append(writer: SegmentWriter, seq: number, price: number): void {
  const memory = new ArrayBuffer(FRAME_BYTES);
  const slots = new SlotViews(memory, FRAME_HEADER_BYTES, 1);
  const event = { seq, productId: 'p', price, stock: 1, occurredAtMs: 1 };
  putEvent(slots, 0, event, { k0: 0, k1: 0 });
  writer.append(Buffer.from(memory), seq, 1, 1000);
}

/** The first segment's bytes, which may be changed in place. */
function bytesOf(disk: SimulatedDisk): Buffer {
  const file = disk.files(LOG_FOLDER).find(({ path }) => path.endsWith(segmentName(1)));
  if (file === undefined) throw new Error('no segment');
  return file.node.cached;
}

function frameAt(disk: SimulatedDisk, at: number): Buffer {
  return Buffer.from(bytesOf(disk).subarray(at, at + FRAME_BYTES));
}

function read(disk: SimulatedDisk) {
  return readLog(disk, LOG_FOLDER, 1, () => undefined);
}

/** A log whose second frame was cut once and written anew, with the one that was cut. */
function rewritten(): { disk: SimulatedDisk; writer: SegmentWriter; cut: Buffer; at: number } {
  const { disk, writer } = newLog();
  append(writer, 1, 10);
  const { end } = writer;
  append(writer, 2, 20);
  const cut = frameAt(disk, end.endBytes);
  const again = SegmentWriter.reopen(disk, LOG_FOLDER, end, FRAME_BYTES, BYTES_MAX);
  append(again, 2, 21);
  return { disk, writer: again, cut, at: end.endBytes };
}

t.test(
  'a lost write brings back the frame that was cut there: the next one does not follow',
  (t) => {
    const { disk, writer, cut, at } = rewritten();
    append(writer, 3, 30);
    t.equal(read(disk).nextSeq, 4);
    cut.copy(bytesOf(disk), at);
    t.throws(() => read(disk), LogDamagedError);
    t.throws(() => read(disk), { message: /damaged at byte 512: the frame does not follow seq 2/ });
    t.end();
  },
);

t.test('the same in the last frame of a segment: the next segment tells', (t) => {
  const { disk, writer, cut, at } = rewritten();
  const next = SegmentWriter.create(disk, LOG_FOLDER, 3, writer.end, BYTES_MAX, 0);
  append(next, 3, 30);
  t.equal(read(disk).nextSeq, 4);
  cut.copy(bytesOf(disk), at);
  t.throws(() => read(disk), { message: /it should end at 512, as the next one says/ });
  t.end();
});

t.test('a frame in room that a former segment of this name had is no event', (t) => {
  const { disk, writer } = newLog();
  append(writer, 1, 10);
  const former = frameAt(disk, FIRST_FRAME);
  newLog(disk).writer.preallocate();
  former.copy(bytesOf(disk), FIRST_FRAME);
  const { nextSeq, tornTail } = read(disk);
  t.equal(nextSeq, 1);
  t.match(tornTail, { offsetBytes: FIRST_FRAME, reason: 'the frame belongs to another segment' });
  t.end();
});

t.test('a frame written to a wrong place is refused, or cut when nothing follows', (t) => {
  const { disk, writer } = newLog();
  for (let seq = 1; seq <= 4; seq++) append(writer, seq, seq);
  const second = frameAt(disk, FIRST_FRAME + FRAME_BYTES);
  const misdirected = (frame: number) => {
    const copy = disk.copy();
    second.copy(bytesOf(copy), FIRST_FRAME + frame * FRAME_BYTES);
    return copy;
  };
  t.throws(() => read(misdirected(2)), { message: /byte 512: the frame belongs to offset 320/ });
  t.match(read(misdirected(3)), {
    nextSeq: 4,
    tornTail: { offsetBytes: 704, reason: 'the frame belongs to offset 320' },
  });
  t.end();
});

t.test('a last frame that changed since it was read is not appended to', (t) => {
  const { disk, writer } = newLog();
  append(writer, 1, 10);
  const former = frameAt(disk, FIRST_FRAME);
  const { end } = writer;
  // The cache held a frame whose flush had failed, and lost it: the platter has what was there before.
  bytesOf(disk).fill(0, FIRST_FRAME);
  const before = Buffer.from(bytesOf(disk));
  const reopen = () => SegmentWriter.reopen(disk, LOG_FOLDER, end, FRAME_BYTES, BYTES_MAX);
  t.throws(reopen, { message: 'the last frame of the log changed' });
  t.ok(bytesOf(disk).equals(before), 'nothing is written');
  former.copy(bytesOf(disk), FIRST_FRAME);
  t.same(reopen().end, end);
  t.end();
});
