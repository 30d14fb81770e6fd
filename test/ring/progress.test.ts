/** A log thread that dies while it stores its progress leaves what was stored before. */
import t from 'tap';
import { LogProgress, OWN_DOUBLES, type Progress, progressBytes } from '../../src/ring/progress.ts';

/** Whose tails fill the lines behind a record to their end. */
const FURTHER = 4;

function progressAt(nextSeq: number): Progress {
  const cursors = { commitHead: nextSeq, liveTail: nextSeq, bulkTail: nextSeq };
  const furtherTails = new Float64Array(2 * FURTHER).fill(nextSeq);
  return { nextSeq, ...cursors, own: new Float64Array(OWN_DOUBLES).fill(nextSeq), furtherTails };
}

/** Dies when it comes to `field`. */
function dying(nextSeq: number, field: keyof Progress): Progress {
  return Object.defineProperty(progressAt(nextSeq), field, {
    get: () => {
      throw new Error('the thread ended');
    },
  });
}

t.test('it dies before or behind any field of a record', (t) => {
  const progress = new LogProgress(new SharedArrayBuffer(progressBytes(FURTHER)));
  const fields = Object.keys(progressAt(1)) as (keyof Progress)[];
  t.equal(progress.load(), undefined);
  t.throws(() => progress.store(dying(1, 'own')), /the thread ended/);
  t.equal(progress.load(), undefined);
  for (const [i, field] of [...fields, ...fields].entries()) {
    progress.store(progressAt(i + 1));
    t.throws(() => progress.store(dying(99, field)), /the thread ended/);
    t.same(progress.load(), progressAt(i + 1), field);
    t.equal(progress.loadNextSeq(), i + 1, field);
  }
  t.end();
});
