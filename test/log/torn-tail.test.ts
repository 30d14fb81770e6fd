/** A log cut anywhere in its last frame: everything before it is kept, and the log goes on. */
import { cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { numbered, someEvents } from '../helpers/disks/log-events.ts';
import { newestSegment } from '../helpers/disks/log-frames.ts';
import { LogLife, recovered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const seed = testSeed();

for (const zerosBehind of [0, 1000]) {
  const tail = zerosBehind === 0 ? 'ends' : 'goes on with zeros';
  t.test(`at every byte of the last frame; the file ${tail} there (seed ${seed})`, (t) => {
    const random = new Random(seed);
    const root = tempDir(t);
    const log = new LogLife(root);
    const events = someEvents(random, 9);
    const more = someEvents(random, 2);
    for (const [from, to] of [
      [0, 4],
      [4, 5],
      [5, 7],
      [7, 9],
    ] as const) {
      log.append(events.slice(from, to));
    }
    const { path, bytes, frames, endBytes } = newestSegment(root);
    const last = frames.at(-1);
    if (last === undefined) throw new Error('no frame');
    let cuts = 0;
    for (let cut = last.offsetBytes; cut < endBytes; cut++) {
      writeFileSync(path, bytes.subarray(0, cut));
      truncateSync(path, cut + zerosBehind);
      const found = recovered(root);
      const isTorn = cut > last.offsetBytes;
      const wrong =
        JSON.stringify(found.events) !== JSON.stringify(numbered(events.slice(0, 7)))
          ? 'other events'
          : (found.tornTail !== undefined) !== isTorn
            ? 'the warning'
            : isTorn && found.tornTail?.offsetBytes !== last.offsetBytes
              ? 'the offset'
              : '';
      // A frame whose last bytes are zeros anyway is whole without them.
      const isWhole = zerosBehind > 0 && bytes.subarray(cut, endBytes).every((byte) => byte === 0);
      if (isWhole) continue;
      if (wrong !== '') t.fail(`cut at ${cut}: ${wrong}`, { found });
      cuts++;
      if (cut % 16 > 0) continue;
      const next = new LogLife(root);
      next.append(more);
      t.equal(readFileSync(path).length >= last.offsetBytes, true);
      t.same(recovered(root).events, numbered([...events.slice(0, 7), ...more]), `on from ${cut}`);
    }
    t.ok(cuts > 250, `${cuts} cuts`);
    t.end();
  });
}

t.test('what was cut is named with file, place, length and reason', (t) => {
  const root = tempDir(t);
  const log = new LogLife(root);
  log.append(someEvents(new Random(seed), 1));
  const { path, bytes, endBytes } = newestSegment(root);
  cpSync(path, join(root, 'copy'));
  writeFileSync(path, Buffer.concat([bytes.subarray(0, endBytes), Buffer.from('garbage')]));
  t.match(recovered(root).tornTail, {
    path,
    offsetBytes: endBytes,
    bytes: 7,
    reason: /ends inside/,
  });
  t.end();
});
