/** A long start says how far it is: through the checkpoint's entries, then through the log. */
import t from 'tap';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { recover } from '../../src/recovery/recovery.ts';
import type { RecoveryMessage } from '../../src/recovery/recovery-messages.ts';
import { ENTRY_BYTES } from '../../src/store/shard.ts';
import { BuiltData } from '../helpers/disks/built-data.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const FRAMES = 6000;

t.test('about once a second, each time further, up to the end', (t) => {
  const data = new BuiltData(tempDir(t), new Random(testSeed()), 40_000);
  data.segment(FRAMES).checkpoint().segment(FRAMES).abandon();
  const start = (msOfALook: number) => {
    const told: RecoveryMessage[] = [];
    let entries = 0;
    let ms = 0;
    let toldInEntries: number | undefined;
    recover({
      files: new NodeFileSystem(),
      folder: data.logFolder,
      checkpoints: data.checkpointFolder,
      sink: {
        entries: (_entries, _first, count) => {
          entries += count;
        },
        keys: () => undefined,
        receipts: () => undefined,
        outcomes: () => undefined,
        frame: () => {
          toldInEntries ??= told.length;
        },
        finish: () => undefined,
      },
      report: (message) => told.push(message),
      nowMs: () => {
        ms += msOfALook;
        return ms;
      },
    });
    const steps = told.filter((message) => message.type === 'progress');
    return { steps, entries, toldInEntries: toldInEntries ?? 0 };
  };

  const { steps, entries, toldInEntries } = start(1000);
  t.ok(entries * ENTRY_BYTES > 1 << 20, 'more entries than are read between two looks');
  t.ok(toldInEntries >= 1, 'it has begun with the entries');
  t.ok(steps.length > toldInEntries, 'and has gone on with the log');
  for (const [i, { doneBytes, totalBytes }] of steps.entries()) {
    t.equal(totalBytes, steps[0]?.totalBytes);
    t.ok(doneBytes <= totalBytes && doneBytes > (steps[i - 1]?.doneBytes ?? 0), `${doneBytes}`);
  }
  t.ok((steps.at(-1)?.doneBytes ?? 0) > (steps[0]?.totalBytes ?? 0) / 2);
  t.same(start(0).steps, [], 'a short one says nothing');
  t.end();
});
