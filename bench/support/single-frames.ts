/**
 * Rewrites a log so that each event has a frame of its own: what one client leaves behind that waits
 * for each answer. Written by the log's own SegmentWriter, but without its flushes, which would
 * take minutes and change nothing about what is read back.
 */
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { FRAME_HEADER_BYTES } from '../../src/log/format.ts';
import { readLog } from '../../src/log/segment-reader.ts';
import { SegmentWriter } from '../../src/log/segment-writer.ts';
import { SLOT_BYTES } from '../../src/ring/slot.ts';

class UnflushedFileSystem extends NodeFileSystem {
  override syncData(): void {}
}

/** Copies the log in `from` to `to` (an existing, empty folder); returns the events copied. */
export function writeSingleFrames(from: string, to: string, segmentBytesMax: number): number {
  const files = new UnflushedFileSystem();
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + SLOT_BYTES);
  let writer: SegmentWriter | undefined;
  let seq = 1;
  readLog(files, from, 1, (slots, first, { count, commitTimeMs }) => {
    for (let i = 0; i < count; i++) {
      if (writer?.hasRoomFor(1) !== true) {
        const previous = writer?.end;
        writer?.abandon();
        writer = SegmentWriter.create(files, to, seq, previous, segmentBytesMax, commitTimeMs);
      }
      const at = (first + i) * SLOT_BYTES;
      frame.set(slots.bytes.subarray(at, at + SLOT_BYTES), FRAME_HEADER_BYTES);
      writer.append(frame, seq, 1, commitTimeMs);
      seq++;
    }
  });
  writer?.seal(seq, Date.now());
  return seq - 1;
}
