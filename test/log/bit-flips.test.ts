/**
 * One flipped bit anywhere in a log of several segments, with frames of all sizes and preallocated
 * room.
 *
 * Allowed:   the start is refused, naming the file · a warning that the very last frame was cut, with
 *            all events before it · the right events and no word (the bit did not count)
 * Forbidden: any other events
 */
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { LogDamagedError } from '../../src/log/log-damaged-error.ts';
import { numbered, someEvents } from '../helpers/disks/log-events.ts';
import { newestSegment } from '../helpers/disks/log-frames.ts';
import { LogLife, recovered, type Unnumbered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { scaled } from '../helpers/threads/race-scale.ts';

const FLIPS = scaled(1000, 20_000);
const seed = testSeed();

function putByte(path: string, at: number, byte: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, Uint8Array.of(byte), 0, 1, at);
  closeSync(file);
}

for (const isClosed of [false, true]) {
  const how = isClosed ? 'closed cleanly' : 'left by a crash';
  t.test(`${FLIPS} flips in a log ${how} (seed ${seed})`, (t) => {
    const random = new Random(seed);
    const root = tempDir(t);
    const all: Unnumbered[] = [];
    const log = new LogLife(root, { segmentBytesMax: 6000 });
    for (let frame = 0; frame < 20; frame++) {
      const events = someEvents(random, 1 + random.below(9));
      log.append(events);
      all.push(...events);
      log.idle();
    }
    if (isClosed) log.close();
    const expected = JSON.stringify(numbered(all));
    const lastCount = isClosed ? 0 : (newestSegment(root).frames.at(-1)?.count ?? 0);
    const withoutLast = JSON.stringify(numbered(all.slice(0, all.length - lastCount)));

    const folder = join(root, 'log');
    const files = readdirSync(folder).map((name) => join(folder, name));
    const contents = new Map(files.map((path) => [path, readFileSync(path)]));
    const totalBytes = [...contents.values()].reduce((sum, { length }) => sum + length, 0);
    const counts = { refused: 0, 'last frame cut': 0, 'not counted': 0 };
    // Of a log whose last frame is a small one of many, the dice may have to be thrown more often.
    const isOver = (flip: number) =>
      flip >= (isClosed || counts['last frame cut'] > 0 ? FLIPS : 10 * FLIPS);
    for (let flip = 0; !isOver(flip); flip++) {
      let at = random.below(totalBytes);
      const hit = files.find((path) => {
        const { length } = contents.get(path) as Buffer;
        if (at < length) return true;
        at -= length;
        return false;
      }) as string;
      const byte = (contents.get(hit) as Buffer)[at];
      putByte(hit, at, byte ^ (1 << random.below(8)));
      const where = `byte ${at} of ${hit}`;
      try {
        const { events, tornTail } = recovered(root);
        const found = JSON.stringify(events);
        if (found === expected) counts['not counted']++;
        else if (found === withoutLast && tornTail !== undefined) counts['last frame cut']++;
        else t.fail(`${where}: other events`, { tornTail, found: events.length });
      } catch (error) {
        if (!(error instanceof LogDamagedError)) t.fail(`${where}: ${error}`);
        else if (!error.message.includes(folder))
          t.fail(`${where}: names no file: ${error.message}`);
        counts.refused++;
      }
      putByte(hit, at, byte);
    }
    t.ok(counts.refused > FLIPS / 4, JSON.stringify(counts));
    t.ok(isClosed || counts['last frame cut'] > 0);
    t.comment(`${files.length} files, ${totalBytes} bytes, ${JSON.stringify(counts)}`);
    t.end();
  });
}
