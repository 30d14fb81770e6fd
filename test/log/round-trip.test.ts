/** What goes into the log comes out of it, over rolls, restarts and leftovers, on the real disk. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FRAME_HEADER_BYTES, parseSegmentName, segmentName } from '../../src/log/format.ts';
import { SLOT_BYTES } from '../../src/ring/slot.ts';
import { numbered, someEvents } from '../helpers/disks/log-events.ts';
import { LogLife, recovered, type Unnumbered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const seed = testSeed();

function segmentsIn(root: string): string[] {
  return readdirSync(join(root, 'log'))
    .filter((name) => parseSegmentName(name) !== undefined)
    .sort();
}

t.test(`any frames, over many lives and rolls (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const root = tempDir(t);
  const segmentBytesMax = 8 * 1024;
  const all: Unnumbered[] = [];
  for (let life = 0; life < 12; life++) {
    const log = new LogLife(root, { segmentBytesMax });
    t.same(log.recovered.events, numbered(all), `life ${life}: all events, in order`);
    t.equal(log.recovered.tornTail, undefined);
    // So many in the first that there are several segments, whatever the dice say.
    for (let frame = life === 0 ? 30 : random.below(12); frame > 0; frame--) {
      const events = someEvents(random, 1 + random.below(random.chance(0.1) ? 200 : 10));
      log.append(events);
      all.push(...events);
      if (random.chance(0.3)) log.idle();
    }
    if (random.chance(0.6)) log.close();
  }
  const segments = segmentsIn(root);
  t.ok(segments.length > 2, `${segments.length} segments`);
  for (const name of segments) {
    const { size } = statSync(join(root, 'log', name));
    const oneFrame = FRAME_HEADER_BYTES * 2 + 256 * SLOT_BYTES;
    t.ok(size <= Math.max(segmentBytesMax, oneFrame), `${name}: ${size} bytes`);
  }
  t.same(recovered(root).events, numbered(all));
  t.end();
});

t.test('a segment is rolled when the next frame does not fit, and named by its first seq', (t) => {
  const random = new Random(seed);
  const root = tempDir(t);
  const log = new LogLife(root, { segmentBytesMax: 128 + 3 * (64 + 2 * 128) });
  const events = someEvents(random, 14);
  for (let n = 0; n < events.length; n += 2) log.append(events.slice(n, n + 2));
  t.same(segmentsIn(root), [1, 7, 13].map(segmentName));
  log.close();
  t.same(segmentsIn(root), [1, 7, 13].map(segmentName));
  t.same(recovered(root).events, numbered(events));
  t.end();
});

t.test('starts and clean stops without events leave nothing behind that grows', (t) => {
  const root = tempDir(t);
  for (let life = 0; life < 40; life++) new LogLife(root).close();
  const [first, ...more] = segmentsIn(root);
  t.same(more, []);
  t.ok(statSync(join(root, 'log', first as string)).size < 4096);
  t.same(recovered(root).events, []);
  t.end();
});

t.test('leftovers of segments that were never published are removed', (t) => {
  const root = tempDir(t);
  const log = new LogLife(root);
  const events = someEvents(new Random(seed), 3);
  log.append(events);
  log.close();
  const leftover = join(root, 'log', `${segmentName(4)}.tmp`);
  writeFileSync(leftover, 'half a header');
  t.same(recovered(root).events, numbered(events));
  t.equal(existsSync(leftover), false);
  t.end();
});
