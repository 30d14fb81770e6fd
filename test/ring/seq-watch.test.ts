/** Waiting for a seq: what is none is refused, whoever else waits. */
import t from 'tap';
import { SeqWatch } from '../../src/ring/seq-watch.ts';

t.test('refuses what is no seq, and tells all others', async (t) => {
  const words = new Int32Array(new SharedArrayBuffer(4));
  let seq = 0;
  const watch = new SeqWatch(words, 0, () => seq);
  const told: number[] = [];
  const last = Promise.withResolvers<void>();
  watch.whenApplied(2, () => told.push(2));
  for (const none of [Number.NaN, Infinity, -Infinity, -1, 1.5, 2 ** 53]) {
    t.throws(() => watch.whenApplied(none, () => told.push(none)), RangeError, `${none}`);
  }
  watch.whenApplied(1, () => told.push(1));
  watch.whenApplied(3, () => last.resolve());
  t.equal(watch.waiting, 3);
  seq = 3;
  Atomics.add(words, 0, 1);
  Atomics.notify(words, 0);
  // A watch keeps nothing alive by itself.
  const alive = setInterval(() => undefined, 1000);
  await last.promise;
  clearInterval(alive);
  t.same(told, [1, 2]);
  watch.whenApplied(0, () => told.push(0));
  t.equal(told.at(-1), 0);
  t.throws(() => watch.whenApplied(-1, () => undefined), RangeError, 'though it is past');
});
