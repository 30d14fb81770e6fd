/** A disk that can't read some blocks: they are told, and everything around them is still used. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { FileHandle } from '../../src/log/file-system.ts';
import { LoadedFile } from '../../src/maintenance/loaded-file.ts';
import { ReadOnlyFiles } from '../../src/maintenance/read-only-files.ts';
import { verify } from '../../src/maintenance/verify.ts';
import { summarize } from '../../src/maintenance/verify-report.ts';
import { BuiltData, namesOf } from '../helpers/disks/built-data.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';

/** Fails every read that touches the byte at `at` of the file at `path`. */
class BadSector extends ReadOnlyFiles {
  readonly #path: string;
  readonly #at: number;
  readonly #bad = new Set<FileHandle>();

  constructor(path: string, at: number) {
    super();
    this.#path = path;
    this.#at = at;
  }

  override openForReading(path: string): FileHandle {
    const file = super.openForReading(path);
    if (path === this.#path) this.#bad.add(file);
    return file;
  }

  override close(file: FileHandle): void {
    this.#bad.delete(file);
    super.close(file);
  }

  override read(
    file: FileHandle,
    buffer: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): number {
    if (this.#bad.has(file) && position <= this.#at && position + length > this.#at) {
      throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
    }
    return super.read(file, buffer, at, length, position);
  }
}

function build(t: Test): BuiltData {
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(3));
  return data.segment(40).checkpoint().segment(10).seal();
}

t.test('only the block that fails is given up', (t) => {
  const data = build(t);
  const [path] = data.segments as [string];
  const file = LoadedFile.load(new BadSector(path, 5000), path);
  const whole = LoadedFile.load(new ReadOnlyFiles(), path);
  if (file === undefined || whole === undefined) throw new Error('no such file');
  t.match(file.faults, [{ path, offsetBytes: 4096, lengthBytes: 4096, reason: /EIO/ }]);
  t.equal(file.faults.length, 1);
  t.ok(file.bytes.subarray(0, 4096).equals(whole.bytes.subarray(0, 4096)));
  t.ok(file.bytes.subarray(4096, 8192).equals(Buffer.alloc(4096)));
  t.ok(file.bytes.subarray(8192).equals(whole.bytes.subarray(8192)));
  t.end();
});

t.test('verify tells the block, the frames in it, and goes on behind it', (t) => {
  const data = build(t);
  const [path] = data.segments as [string];
  const found = summarize(verify(new BadSector(path, 5000), data.root));
  t.ok(found.faults.some(({ reason }) => reason.includes('EIO')));
  t.ok(found.faults.some(({ reason }) => reason.includes('a whole frame follows')));
  t.ok(found.faults.every((fault) => fault.path === path));
  const lost = data.frames.filter(
    (frame) =>
      frame.path === path && frame.offsetBytes < 8192 && frame.offsetBytes + frame.bytes > 4096,
  );
  const events = lost.reduce((sum, { count }) => sum + count, 0);
  t.equal(found.log.events, data.events.length - events, 'all events but those in it');
  t.end();
});

t.test('a file that can not be read at all, of each kind, is a fault and not the end', (t) => {
  const data = build(t);
  const [windows, part] = namesOf(data.checkpoints[0]) as [string, string];
  for (const path of [
    join(data.logFolder, 'newest'),
    join(data.checkpointFolder, windows, 'manifest.json'),
    join(data.checkpointFolder, windows, 'dedupe.ckp'),
    join(data.checkpointFolder, part),
  ]) {
    const found = summarize(verify(new BadSector(path, 0), data.root));
    t.notOk(found.isWhole, path);
    t.ok(
      found.faults.some((fault) => fault.path === path && fault.reason.includes('EIO')),
      path,
    );
  }
  t.end();
});
