/**
 * A log thread that dies between a flush and its record leaves a whole frame that was never committed; its
 * successor gives the same seqs again, in a fresh segment. Who was reading just then must not be handed it.
 */
import { open, readdir } from 'node:fs/promises';
import t from 'tap';
import { FileHistory, type HistoryFiles } from '../../src/log/file-history.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { FRAME_HEADER_BYTES, frameBytes } from '../../src/log/format.ts';
import { FRAME_SLOTS_MAX } from '../../src/log/frame-content.ts';
import { packSegmentEnds } from '../../src/log/segment-ends.ts';
import { SegmentWriter } from '../../src/log/segment-writer.ts';
import { LogProgress, PROGRESS_BYTES } from '../../src/ring/progress.ts';
import { SLOT_BYTES, SLOT_DOUBLES, SLOT_PRICE, SLOT_SEQ, SlotViews } from '../../src/ring/slot.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

const COMMITTED = 1;
const VOID = 666;
const SEGMENT_BYTES = 1 << 24;

/** Appends events `first` … of this price. */
function append(writer: SegmentWriter, first: number, count: number, price: number): void {
  const frame = Buffer.alloc(frameBytes(count));
  const { doubles } = new SlotViews(frame.buffer, frame.byteOffset + FRAME_HEADER_BYTES, count);
  for (let i = 0; i < count; i++) {
    doubles[i * SLOT_DOUBLES + SLOT_SEQ] = first + i;
    doubles[i * SLOT_DOUBLES + SLOT_PRICE] = price;
  }
  writer.append(frame, first, count, 1);
}

t.test('the log thread dies behind a flush while the segment is read', async (t) => {
  const files = new NodeFileSystem();
  const folder = tempDir(t);
  const progress = new LogProgress(new SharedArrayBuffer(PROGRESS_BYTES));
  const commit = (writer: SegmentWriter, nextSeq: number) => {
    const own = packSegmentEnds({ segment: writer.end, previous: undefined });
    progress.store({ nextSeq, commitHead: 0, liveTail: 0, bulkTail: 0, own });
  };
  const segment = SegmentWriter.create(files, folder, 1, undefined, SEGMENT_BYTES, 0);
  // A chunk holds one whole frame at least, and here no more than that of the next one.
  append(segment, 1, FRAME_SLOTS_MAX, COMMITTED);
  const next = FRAME_SLOTS_MAX + 1;
  append(segment, next, 10, COMMITTED);
  commit(segment, next + 10);
  const { end } = segment;

  const die = () => {
    append(segment, next + 10, 5, VOID);
    const fresh = SegmentWriter.create(files, folder, next + 10, end, SEGMENT_BYTES, 0);
    t.teardown(() => fresh.abandon());
    append(fresh, next + 10, 5, COMMITTED);
    commit(fresh, next + 15);
  };
  let reads = 0;
  const dying: HistoryFiles = {
    list: readdir,
    open: async (path) => {
      const file = await open(path, 'r');
      return {
        close: () => file.close(),
        read: async (...args) => {
          const read = await file.read(...args);
          // The first one is that of the header.
          if (++reads === 2) die();
          return read;
        },
      };
    },
  };

  const history = new FileHistory({ folder, progress, files: dying });
  const cursor = history.open();
  const slots = new SlotViews(new ArrayBuffer(64 * SLOT_BYTES), 0, 64);
  const prices: number[] = [];
  for (let from = next; from < next + 15; ) {
    const copied = cursor.copy(from, next + 14, slots);
    for (let i = 0; i < copied; i++) prices.push(slots.doubles[i * SLOT_DOUBLES + SLOT_PRICE]);
    from += copied;
    if (copied === 0) t.equal(await cursor.load(from), 'loaded');
  }
  cursor.close();
  t.same(prices, Array(15).fill(COMMITTED));
  t.ok(reads > 2, 'the log thread died on the way');
  segment.abandon();
});
