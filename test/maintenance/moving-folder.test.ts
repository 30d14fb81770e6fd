/**
 * What moves while `verify` and `backup` read: a tail seen before it was written, files removed
 * between listing and opening. A disk that misreads once, or always, stands in for the moment.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DataDir } from '../../src/log/data-dir.ts';
import type { FileHandle } from '../../src/log/file-system.ts';
import { BackupError, backup } from '../../src/maintenance/backup.ts';
import { ReadOnlyFiles } from '../../src/maintenance/read-only-files.ts';
import { RepairError } from '../../src/maintenance/repair.ts';
import { verify } from '../../src/maintenance/verify.ts';
import { summarize, verifyText } from '../../src/maintenance/verify-report.ts';
import { BuiltData, type WrittenFrame } from '../helpers/disks/built-data.ts';
import { folderState } from '../helpers/disks/folder-state.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { runCommand } from '../helpers/processes/run-command.ts';

/** Reads one frame's bytes as zeros, as often as it is told to: they are not written yet. */
class LateFrame extends ReadOnlyFiles {
  readonly #frame: WrittenFrame;
  #times: number;
  #handles = new Set<FileHandle>();

  constructor(frame: WrittenFrame, times: number) {
    super();
    this.#frame = frame;
    this.#times = times;
  }

  override openForReading(path: string): FileHandle {
    const file = super.openForReading(path);
    if (path === this.#frame.path) this.#handles.add(file);
    else this.#handles.delete(file);
    return file;
  }

  override read(
    file: FileHandle,
    buffer: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): number {
    const got = super.read(file, buffer, at, length, position);
    const { offsetBytes, bytes } = this.#frame;
    const covers = position <= offsetBytes && position + got >= offsetBytes + bytes;
    if (this.#handles.has(file) && covers && this.#times-- > 0) {
      buffer.fill(0, at + offsetBytes - position, at + offsetBytes - position + bytes);
    }
    return got;
  }
}

/** A folder that a service holds, and the frame before the last. */
function held(t: Test): { readonly data: BuiltData; readonly frame: WrittenFrame } {
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(1));
  data.segment(6).checkpoint().segment(6).abandon();
  const hold = DataDir.open(data.root);
  t.teardown(() => hold.close());
  return { data, frame: data.frames.at(-2) as WrittenFrame };
}

t.test('verify believes a fault beside a running service only when it sees it twice', (t) => {
  const { data, frame } = held(t);
  const once = verify(new LateFrame(frame, 1), data.root);
  t.strictSame(once.faults, []);
  t.match(once.heldBy, `process ${process.pid} on `);
  t.match(summarize(once), { isWhole: true, wouldStart: true });
  t.match(verifyText(summarize(once)), /^running {6}held by process /m);

  const always = verify(new LateFrame(frame, Number.POSITIVE_INFINITY), data.root);
  t.match(always.faults, [{ path: frame.path, offsetBytes: frame.offsetBytes }]);
  t.match(summarize(always), { isWhole: false, wouldStart: null });
  t.match(verifyText(summarize(always)), 'stop the service and verify again');
  t.end();
});

t.test('verify does not disturb the hold, nor does the hold outlive it', (t) => {
  const { data } = held(t);
  t.equal(runCommand('verify', data.root).code, 0);
  t.throws(() => DataDir.open(data.root), /is held by process/);
  t.end();
});

t.test('repair refuses a folder that a service holds', (t) => {
  const { data } = held(t);
  const to = `${data.root}-repaired`;
  t.throws(() => runCommand('repair', data.root, '--to', to), RepairError);
  t.throws(() => runCommand('repair', data.root, '--to', to), /stop the service first/);
  t.notOk(existsSync(to));
  t.end();
});

t.test('backup reads a tail again that was written while it read', (t) => {
  const { data, frame } = held(t);
  const to = `${data.root}-backup`;
  const before = folderState(data.root);
  const copy = backup(data.root, to, new LateFrame(frame, 1));
  t.equal(summarize(copy).log.lastSeq, data.events.length, 'it has everything');
  t.equal(copy.root, to);
  t.equal(runCommand('verify', to).code, 0);
  t.strictSame(folderState(data.root), before, 'the original is untouched');
  t.end();
});

t.test('backup gives no copy of a damaged folder', (t) => {
  const { data, frame } = held(t);
  const to = `${data.root}-backup`;
  const files = new LateFrame(frame, Number.POSITIVE_INFINITY);
  t.throws(() => backup(data.root, to, files), BackupError);
  t.throws(() => backup(data.root, to, files), `${frame.path} is damaged at byte`);
  t.notOk(existsSync(to));
  t.end();
});

/** Says of the first files opened that they are gone. */
class Vanishing extends ReadOnlyFiles {
  #times: number;

  constructor(times: number) {
    super();
    this.#times = times;
  }

  override openForReading(path: string): FileHandle {
    if (this.#times-- > 0) throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    return super.openForReading(path);
  }
}

t.test('backup begins anew when retention removes a file under its hands', (t) => {
  const { data } = held(t);
  const to = `${data.root}-backup`;
  backup(data.root, to, new Vanishing(3));
  t.equal(runCommand('verify', to).code, 0);
  const never = new Vanishing(Number.POSITIVE_INFINITY);
  t.throws(() => backup(data.root, `${to}-2`, never), /changed 20 times/);
  t.notOk(existsSync(`${to}-2`));
  t.end();
});
