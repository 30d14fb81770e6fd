/** How far the appliers have come, as a seq, and who is told of it. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { AppliedWatermark } from '../../src/apply/applied-watermark.ts';
import {
  COMMIT_BELL_BACK,
  COMMIT_HEAD,
  CommitRing,
  commitCursor,
} from '../../src/ring/commit-ring.ts';
import { LogProgress, OWN_DOUBLES, PROGRESS_BYTES } from '../../src/ring/progress.ts';
import { polled } from '../helpers/bounded.ts';

/** A ring whose slot at `firstCursor` holds seq 1, with `published` events, none applied. */
function setup(firstCursor: number, published: number) {
  const ring = CommitRing.create(64, 2, firstCursor);
  const progress = new LogProgress(new SharedArrayBuffer(PROGRESS_BYTES));
  const head = (firstCursor + published) | 0;
  Atomics.store(ring.cursors, COMMIT_HEAD, head);
  progress.store({
    nextSeq: published + 1,
    commitHead: head,
    liveTail: 0,
    bulkTail: 0,
    own: new Float64Array(OWN_DOUBLES),
  });
  const apply = (applier: number, count: number) => {
    Atomics.store(ring.cursors, commitCursor(applier), (firstCursor + count) | 0);
    Atomics.add(ring.cursors, COMMIT_BELL_BACK, 1);
    Atomics.notify(ring.cursors, COMMIT_BELL_BACK);
  };
  return { ring, apply, progress, watermark: new AppliedWatermark(ring, progress) };
}

t.test('is what the slowest applier has applied, across the wrap of the cursors', async (t) => {
  for (const firstCursor of [0, 0x7fffffff - 3, -4]) {
    const { apply, watermark } = setup(firstCursor, 10);
    t.equal(watermark.seq, 0);
    apply(0, 10);
    t.equal(watermark.seq, 0, 'the other has done nothing yet');
    apply(1, 6);
    t.equal(watermark.seq, 6);
    apply(1, 10);
    t.equal(watermark.seq, 10);
  }
});

t.test(
  'tells those who wait in the order of their seqs, and at once when it is past',
  async (t) => {
    const { apply, watermark } = setup(0, 10);
    const told: number[] = [];
    const all = Promise.withResolvers<void>();
    for (const seq of [5, 2, 9, 5]) watermark.whenApplied(seq, () => told.push(seq));
    watermark.whenApplied(10, () => all.resolve());
    apply(0, 10);
    apply(1, 5);
    const five = Promise.withResolvers<void>();
    watermark.whenApplied(5, () => five.resolve());
    await five.promise;
    watermark.whenApplied(4, () => told.push(4));
    t.equal(told.at(-1), 4, 'past already: told before the call returned');
    apply(1, 10);
    await all.promise;
    t.same(
      told.filter((seq) => seq !== 4),
      [2, 5, 5, 9],
    );
  },
);

t.test('does not tell those who were taken back', async (t) => {
  const { apply, watermark } = setup(0, 10);
  const told: string[] = [];
  const waiters = ['a', 'b', 'c', 'd'].map((name, i) =>
    watermark.whenApplied([5, 5, 3, 9][i], () => told.push(name)),
  );
  t.equal(watermark.waiting, 4);
  for (const waiter of [waiters[0], waiters[3], waiters[0]]) {
    if (waiter !== undefined) watermark.cancel(waiter);
  }
  t.equal(watermark.waiting, 2);
  apply(0, 10);
  apply(1, 10);
  const last = Promise.withResolvers<void>();
  watermark.whenApplied(10, () => last.resolve());
  await last.promise;
  while (watermark.waiting > 0) await new Promise(setImmediate);
  t.same(told, ['c', 'b']);
  const [, told1] = waiters;
  if (told1 !== undefined) watermark.cancel(told1);
  t.equal(
    watermark.whenApplied(1, () => told.push('e')),
    undefined,
    'told before it returned',
  );
  t.equal(told.at(-1), 'e');
});

t.test('who is told while it begins to wait does not wait', async (t) => {
  // The appliers move at every place where the watermark looks how far they are.
  for (let looks = 1; looks <= 4; looks++) {
    const { apply, watermark, progress } = setup(0, 10);
    const load = progress.loadPlace.bind(progress);
    let looked = 0;
    progress.loadPlace = () => {
      const known = load();
      if (++looked === looks) for (const applier of [0, 1]) apply(applier, 10);
      return known;
    };
    let told = 0;
    const waiter = watermark.whenApplied(10, () => told++);
    t.equal(waiter === undefined, told === 1, `look ${looks}: told, or a waiter`);
    if (looked < looks) for (const applier of [0, 1]) apply(applier, 10);
    await polled(() => (told > 0 ? true : undefined), 60_000, 'to be told');
    if (waiter !== undefined) watermark.cancel(waiter);
    t.equal(watermark.waiting, 0);
    t.equal(told, 1, 'and told once');
  }
});

t.test('is woken by an applier in another thread', async (t) => {
  const { ring, watermark } = setup(0, 3);
  const applied = Promise.withResolvers<void>();
  watermark.whenApplied(3, () => applied.resolve());
  // The process would end without the worker's handle: waitAsync keeps nothing alive.
  const worker = new Worker(
    `const { workerData: { buffer, words } } = require('node:worker_threads');
     const cursors = new Int32Array(buffer);
     for (const word of words) Atomics.store(cursors, word, 3);
     Atomics.add(cursors, ${COMMIT_BELL_BACK}, 1);
     Atomics.notify(cursors, ${COMMIT_BELL_BACK});
     setInterval(() => {}, 1000);`,
    { eval: true, workerData: { buffer: ring.buffer, words: [commitCursor(0), commitCursor(1)] } },
  );
  await applied.promise;
  t.equal(watermark.seq, 3);
  await Promise.all([once(worker, 'exit'), worker.terminate()]);
});
