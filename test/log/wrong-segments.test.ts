/** Segments that are missing, swapped, foreign, copied or of another format are refused by name. */
import {
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import t, { type Test } from 'tap';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import {
  FRAME_HEADER_BYTES,
  parseSegmentName,
  SEGMENT_HEADER_BYTES,
  segmentName,
} from '../../src/log/format.ts';
import { LogDamagedError } from '../../src/log/log-damaged-error.ts';
import { type LogIdentity, readIdentity } from '../../src/log/log-identity.ts';
import { oldestLinked } from '../../src/log/segment-headers.ts';
import { readLog } from '../../src/log/segment-reader.ts';
import { SegmentWriter } from '../../src/log/segment-writer.ts';
import { someEvents } from '../helpers/disks/log-events.ts';
import { newestSegment } from '../helpers/disks/log-frames.ts';
import { LogLife, recovered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';

/** A closed log of five segments, two frames of two events each; gives its segments' paths. */
function makeLog(t: Test): { root: string; paths: string[] } {
  const root = tempDir(t);
  const log = new LogLife(root, { segmentBytesMax: SEGMENT_HEADER_BYTES + 2 * (64 + 2 * 128) });
  for (let n = 0; n < 9; n++) log.append(someEvents(new Random(n), 2));
  log.close();
  const folder = join(root, 'log');
  const names = readdirSync(folder).filter((name) => parseSegmentName(name) !== undefined);
  return { root, paths: names.sort().map((name) => join(folder, name)) };
}

/** The start must be refused, for `reason`, naming one of `paths` and an offset there. */
function refused(
  t: Test,
  root: string,
  paths: string | readonly string[],
  reason: RegExp,
  what: string,
): void {
  try {
    t.fail(`${what}: recovered ${recovered(root).events.length} events`);
  } catch (error) {
    t.type(error, LogDamagedError, what);
    const { message } = error as Error;
    t.match(message, reason, what);
    const isNamed = [paths]
      .flat()
      .some((path) => message.startsWith(`${path} is damaged at byte `));
    t.ok(isNamed, `${what}: ${message}`);
  }
}

t.test('each segment missing', (t) => {
  const count = makeLog(t).paths.length;
  t.equal(count, 5);
  for (let missing = 0; missing < count; missing++) {
    const { root, paths } = makeLog(t);
    rmSync(paths[missing]);
    refused(t, root, paths[missing], /the segment is missing/, `segment ${missing}`);
  }
  t.end();
});

t.test('two segments swapped', (t) => {
  const { root, paths } = makeLog(t);
  const [, second, third] = paths as [string, string, string];
  renameSync(second, `${second}.x`);
  renameSync(third, second);
  renameSync(`${second}.x`, third);
  refused(t, root, second, /says that it starts with seq/, 'swapped');
  t.end();
});

t.test('a segment copied under a later name', (t) => {
  const { root, paths } = makeLog(t);
  copyFileSync(paths[1], paths[2]);
  refused(t, root, paths[2], /says that it starts with seq/, 'copied');
  t.end();
});

t.test('the same segment of another log, each in turn', (t) => {
  for (let n = 0; n < 5; n++) {
    const { root, paths } = makeLog(t);
    const other = makeLog(t);
    copyFileSync(other.paths[n], paths[n]);
    const named = paths.slice(n, n + 2);
    refused(t, root, named, /one of them is foreign/, `segment ${n}`);
  }
  t.end();
});

t.test('the newest segment is foreign, and a start behind a checkpoint reads no other', (t) => {
  const { root, paths } = makeLog(t);
  const other = makeLog(t);
  const newest = paths[4];
  copyFileSync(other.paths[4], newest);
  const folder = join(root, 'log');
  const read = (log?: LogIdentity) =>
    readLog(new NodeFileSystem(), folder, 17, () => undefined, [{ replayFrom: 17, log }]);
  t.throws(() => read(), LogDamagedError);
  t.throws(() => read(), { message: /one of them is foreign/ }, 'the segment before it tells');
  for (const path of paths.slice(0, 4)) rmSync(path);
  t.equal(read().nextSeq, 19, 'alone it is whole');
  const [own, foreign] = [makeLog(t), other].map(({ root }) =>
    readIdentity(new NodeFileSystem(), join(root, 'log'), 17),
  );
  t.throws(() => read(own), { message: /of different data folders/ }, 'the checkpoint tells');
  t.equal(read(foreign).nextSeq, 19);
  t.end();
});

/** Leaves the segments with these numbers; the others are removed. */
function keep(paths: readonly string[], kept: readonly number[]): void {
  for (const [i, path] of paths.entries()) if (!kept.includes(i)) rmSync(path);
}

t.test(
  'what lies before a gap tells nothing to a start behind a checkpoint that has it all',
  (t) => {
    const { root, paths } = makeLog(t);
    const files = new NodeFileSystem();
    const folder = join(root, 'log');
    // The checkpoint begins with the newest segment, and knows the one before it.
    const log = readIdentity(files, folder, 17);
    const foreign = readIdentity(files, join(makeLog(t).root, 'log'), 17);
    keep(paths, [1, 4]);
    const read = (log?: LogIdentity) =>
      readLog(files, folder, 17, () => undefined, [{ replayFrom: 17, log }]).nextSeq;
    t.equal(read(log), 19);
    t.throws(() => read(), { message: /the segment is missing/ }, 'it knows of no log');
    t.throws(() => read(foreign), { message: /the segment is missing/ }, 'it knows another one');
    t.end();
  },
);

t.test('which segments can be read on from, up to the newest', (t) => {
  const files = new NodeFileSystem();
  const oldest = (kept: readonly number[]) => {
    const { root, paths } = makeLog(t);
    keep(paths, kept);
    return oldestLinked(files, join(root, 'log'), 17);
  };
  t.equal(oldest([0, 1, 2, 3, 4]), 1);
  t.equal(oldest([0, 2, 3, 4]), 9, 'what is behind the gap can');
  t.equal(oldest([0, 1, 2, 4]), 17);
  t.equal(oldest([4]), 17);
  const { root, paths } = makeLog(t);
  copyFileSync(makeLog(t).paths[2], paths[2]);
  t.equal(oldestLinked(files, join(root, 'log'), 17), 13, 'a foreign one is a gap');
  t.end();
});

t.test('a checkpoint from where the log begins knows none: its segment may be replaced', (t) => {
  const files = new NodeFileSystem();
  const folder = tempDir(t);
  const begin = () => SegmentWriter.create(files, folder, 17, undefined, 1e6, 0);
  begin().abandon();
  const log = readIdentity(files, folder, 17);
  // As a start does with one that has no events.
  rmSync(join(folder, segmentName(17)));
  begin().abandon();
  t.equal(readLog(files, folder, 17, () => undefined, [{ replayFrom: 17, log }]).nextSeq, 17);
  t.equal(readIdentity(files, folder, 18)?.firstSeq, 17, 'its events bind it');
  t.end();
});

t.test('a segment cut short, and an empty one, in the middle', (t) => {
  for (const bytes of [0, 100, SEGMENT_HEADER_BYTES, 300]) {
    const { root, paths } = makeLog(t);
    const path = paths[2];
    writeFileSync(path, readFileSync(path).subarray(0, bytes));
    refused(t, root, path, bytes < 128 ? /header/ : /ends inside/, `${bytes} bytes`);
  }
  t.end();
});

t.test('a format version that this program does not know', (t) => {
  const { root, paths } = makeLog(t);
  const path = paths[0];
  const bytes = readFileSync(path);
  bytes.writeUInt32LE(2, 8);
  writeFileSync(path, bytes);
  t.throws(() => recovered(root), {
    message: `${path} can't be read: it was made by another version of this program: format version 2, this program reads 1; nothing was changed: start the version that wrote DATA_DIR; if that is this one, the file is damaged (docs/durability.md)`,
  });
  t.end();
});

t.test('a frame that claims a gigantic count', (t) => {
  for (const isSealed of [true, false]) {
    for (const count of [0xffff_ffff, 0x8000_0000, 1 << 20, 3]) {
      const root = tempDir(t);
      const log = new LogLife(root);
      for (let n = 0; n < 3; n++) log.append(someEvents(new Random(n), 2));
      if (isSealed) log.close();
      const { path, bytes, frames } = newestSegment(root);
      const at = frames[1]?.offsetBytes as number;
      bytes.writeUInt32LE(count, at + 16);
      writeFileSync(path, bytes);
      refused(t, root, path, /a whole frame follows/, `${count}`);
    }
  }
  t.end();
});

t.test('a frame whose checksum is right but whose events are not', (t) => {
  const root = tempDir(t);
  const log = new LogLife(root);
  log.append(someEvents(new Random(1), 2));
  const { path, bytes, frames } = newestSegment(root);
  const at = frames[0]?.offsetBytes as number;
  const end = at + (frames[0]?.bytes as number);
  const seal = (change: (slot: number) => void) => {
    const copy = Buffer.from(bytes);
    change(at + FRAME_HEADER_BYTES);
    bytes.writeUInt32LE(crc32(bytes.subarray(at + 8, end)), at + 4);
    writeFileSync(path, bytes);
    copy.copy(bytes);
  };
  seal((slot) => bytes.writeDoubleLE(7, slot));
  refused(t, root, path, /seq 7 stands where 1 should/, 'another seq');
  seal((slot) => bytes.writeUInt8(99, slot + 40));
  refused(t, root, path, /no event of this version/, 'another kind');
  seal((slot) => bytes.writeUInt8(65, slot + 43));
  refused(t, root, path, /no event of this version/, 'an id of 65 bytes');
  t.end();
});

t.test('a frame replaced by another one that is right by itself', (t) => {
  const root = tempDir(t);
  const log = new LogLife(root);
  for (let n = 0; n < 3; n++) log.append(someEvents(new Random(n), 2));
  const { path, bytes, frames } = newestSegment(root);
  const at = frames[1]?.offsetBytes as number;
  const end = at + (frames[1]?.bytes as number);
  // Another price, and a checksum that agrees: only the chain of the frame behind it can tell.
  bytes.writeDoubleLE(1.5, at + FRAME_HEADER_BYTES + 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 8, end)), at + 4);
  writeFileSync(path, bytes);
  refused(t, root, path, /does not follow seq 4/, 'another price');
  t.end();
});
