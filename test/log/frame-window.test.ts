/** A window that moves along a file shows the same frames as the whole file does. */
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type FileHandle, NodeFileSystem } from '../../src/log/file-system.ts';
import { checkFrame, FRAME_HEADER_BYTES, frameBytes, sealFrame } from '../../src/log/format.ts';
import { FrameWindow } from '../../src/log/frame-window.ts';
import { SLOT_BYTES } from '../../src/ring/slot.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const seed = testSeed();
const HEADER_BYTES = 128;
const NONCE = Buffer.alloc(16, 7);

/** A file of frames of so many slots, behind a header's place. */
function fileOf(counts: readonly number[], random: Random): Buffer {
  const parts = [Buffer.alloc(HEADER_BYTES)];
  let at = HEADER_BYTES;
  let firstSeq = 1;
  for (const count of counts) {
    const frame = Buffer.alloc(frameBytes(count));
    for (let i = FRAME_HEADER_BYTES; i < frame.length; i++) frame[i] = random.below(256);
    const header = { firstSeq, count, commitTimeMs: 0, nonce: NONCE, offsetBytes: at, chain: 0 };
    sealFrame(frame, header);
    parts.push(frame);
    at += frame.length;
    firstSeq += count;
  }
  return Buffer.concat(parts);
}

class CountingFiles extends NodeFileSystem {
  reads = 0;
  opened = 0;
  override read(...args: Parameters<NodeFileSystem['read']>): number {
    this.reads++;
    return super.read(...args);
  }
  override openForReading(path: string): FileHandle {
    this.opened++;
    return super.openForReading(path);
  }
  override close(file: FileHandle): void {
    this.opened--;
    super.close(file);
  }
}

t.test(`every frame, whatever the window's size (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const path = join(tempDir(t), 'file');
  for (let round = 0; round < 40; round++) {
    const counts = Array.from({ length: random.integer(0, 30) }, () => random.below(20));
    const file = fileOf(counts, random);
    writeFileSync(path, file);
    const window = new FrameWindow(
      new NodeFileSystem(),
      random.pick([64, 128, 300, 1024, 4096, 1 << 20]),
    );
    window.reading(path, () => {
      t.equal(window.size, file.length);
      let at = HEADER_BYTES;
      for (const count of counts) {
        const frame = window.frameAt(at, NONCE);
        const expected = checkFrame(file, at, NONCE);
        if (typeof frame === 'string' || typeof expected === 'string') throw new Error(`${frame}`);
        t.same(frame, expected);
        const { slots, first } = window.slotsAt(at + FRAME_HEADER_BYTES);
        const from = first * SLOT_BYTES;
        const bytes = slots.bytes.subarray(from, from + count * SLOT_BYTES);
        t.ok(file.subarray(at + FRAME_HEADER_BYTES, at + frame.bytes).equals(bytes));
        at += frame.bytes;
      }
      t.equal(window.frameAt(at, NONCE), checkFrame(file, at, NONCE), 'and behind the last one');
      const from = random.below(file.length >> 6) << 6;
      const length = random.below(file.length);
      t.ok(window.part(from, length).equals(file.subarray(from, from + length)));
    });
  }
  t.end();
});

t.test('a long file is read in pieces, each once', (t) => {
  const path = join(tempDir(t), 'file');
  const frames = 64;
  const file = fileOf(Array(frames).fill(15), new Random(seed));
  writeFileSync(path, file);
  const files = new CountingFiles();
  const window = new FrameWindow(files, 8 * frameBytes(15));
  window.reading(path, () => {
    for (let n = 0; n < frames; n++) window.frameAt(HEADER_BYTES + n * frameBytes(15), NONCE);
  });
  // A frame at the border of two pieces is in both.
  t.ok(files.reads <= frames / 7 + 1, `${files.reads} reads`);
  t.ok(files.reads >= frames / 8);
  t.equal(files.opened, 0, 'closed');
  t.end();
});

t.test('a frame that claims more than there is, and a file that is cut meanwhile', (t) => {
  const folder = tempDir(t);
  const path = join(folder, 'file');
  const file = fileOf([3, 3, 3], new Random(seed));
  const last = HEADER_BYTES + 2 * frameBytes(3);
  file.writeUInt32LE(0xffffffff, last + 16);
  writeFileSync(path, file);
  const window = new FrameWindow(new NodeFileSystem(), 256);
  window.reading(path, () => {
    t.type(window.frameAt(HEADER_BYTES, NONCE), 'object');
    t.equal(window.frameAt(last, NONCE), 'the file ends inside a frame');
    truncateSync(path, HEADER_BYTES + frameBytes(3) + 100);
    t.equal(window.frameAt(HEADER_BYTES + frameBytes(3), NONCE), 'the file ends inside a frame');
    t.equal(window.frameAt(last, NONCE), 'the file ends inside a frame header');
  });
  t.throws(() => window.reading(join(folder, 'missing'), () => 0), { code: 'ENOENT' });
  t.end();
});
