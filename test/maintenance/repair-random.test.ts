/** Random histories with random damage: what is hit is known, so what must be kept and lost is, too. */
import { join } from 'node:path';
import t from 'tap';
import { SEQ_MARGIN } from '../../src/maintenance/repair-plan.ts';
import { BuiltData, type WrittenFrame } from '../helpers/disks/built-data.ts';
import { damage, repair, serves } from '../helpers/disks/repairing.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const HISTORIES = 40;
/** One of so many is started, which takes much longer than the repair. */
const SERVED_EACH = 10;

const seed = testSeed();

t.test(`${HISTORIES} folders with random damage (seed ${seed})`, async (t) => {
  for (let i = 0; i < HISTORIES; i++) {
    const random = new Random(seed + i);
    const data = new BuiltData(join(tempDir(t), 'data'), random);
    for (let s = 1 + random.below(4); s > 0; s--) {
      data.segment(1 + random.below(10));
      if (random.chance(0.4)) data.checkpoint(random.below(Math.min(3, data.nextSeq)));
    }
    data.seal();
    const hit = new Set<WrittenFrame>();
    // Never the first: something must be good.
    const whole = data.frames.filter(({ count, firstSeq }) => count > 0 && firstSeq > 1);
    for (let d = whole.length > 0 ? random.below(5) : 0; d > 0; d--) {
      const frame = random.pick(whole);
      damage(frame.path, frame.offsetBytes + random.below(frame.bytes));
      // The same byte hit twice would be whole again.
      if (!hit.has(frame)) hit.add(frame);
      else damage(frame.path, frame.offsetBytes);
    }
    const { to, report } = repair(t, data);
    const base = report.kept.checkpoint ?? 1;
    const lost = [...hit].filter((frame) => frame.firstSeq + frame.count > base);
    const isLost = ({ seq }: { seq: number }) =>
      seq >= base && lost.some((f) => seq >= f.firstSeq && seq < f.firstSeq + f.count);
    t.strictSame(
      report.lost.flatMap(({ fromSeq, events }) =>
        Array.from({ length: events }, (_, n) => fromSeq + n),
      ),
      data.events.filter(isLost).map(({ seq }) => seq),
      `history ${seed + i}: the report says what is lost`,
    );
    t.equal(report.nextSeq, data.nextSeq + (hit.size > 0 ? SEQ_MARGIN : 0));
    if (i % SERVED_EACH === 0) {
      const model = data.model((event) => event.seq < data.coveredBefore || !isLost(event));
      await serves(t, to, model, report.nextSeq);
    }
  }
});
