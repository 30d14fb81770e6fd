/** Which events of a batch are dead, found while it is still coming. */
import t from 'tap';
import { DEAD_LISTED_MAX, DeadEventsSearch } from '../../src/apply/dead-events-search.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const seed = testSeed();

function world() {
  const applied = { seq: 0 };
  const dead = new Set<number>();
  const asked: number[] = [];
  const search = new DeadEventsSearch(applied, (from, to) => {
    if (to > applied.seq) throw new Error(`${to} is not applied`);
    const seqs = Array.from({ length: to + 1 - from }, (_, i) => from + i);
    asked.push(...seqs);
    return seqs.filter((seq) => dead.has(seq));
  });
  return { applied, dead, asked, search };
}

t.test('only events of the batch, and each asked for once', (t) => {
  const { applied, dead, asked, search } = world();
  search.note(3, 5);
  search.note(9, 10);
  for (const seq of [4, 7, 10, 11]) dead.add(seq);
  search.look();
  t.strictSame(asked, [], 'none is applied');
  applied.seq = 4;
  search.look();
  t.strictSame(search.listed, [4]);
  applied.seq = 20;
  search.note(11, 11);
  search.look();
  t.strictSame(search.listed, [4, 10, 11], '7 is of others');
  t.strictSame(asked, [3, 4, 5, 9, 10, 11]);
  search.note(4, 4);
  search.look();
  t.strictSame(search.listed, [4, 10, 11], 'twice in the batch, listed once');
  t.end();
});

t.test('events repeated again and again before they are applied are asked for once', (t) => {
  const { applied, asked, search } = world();
  for (let n = 0; n < 20_000; n++) {
    const seq = n % 2 === 0 ? 7 : 3;
    search.note(seq, seq);
  }
  search.look();
  applied.seq = 10;
  search.look();
  t.strictSame(asked, [3, 7]);
  t.end();
});

t.test('lists the first ones', (t) => {
  const { applied, dead, search } = world();
  for (let seq = 1; seq <= 300; seq++) {
    dead.add(seq);
    search.note(seq, seq);
  }
  applied.seq = 300;
  search.look();
  t.strictSame([search.listed.length, search.listed.at(-1)], Array(2).fill(DEAD_LISTED_MAX));
  t.end();
});

t.test(`agrees with a list of all seqs (seed ${seed})`, (t) => {
  const random = new Random(seed);
  for (let round = 0; round < 300; round++) {
    const { applied, dead, search } = world();
    const mine: number[] = [];
    let next = 1;
    for (let n = 0; n < 60; n++) {
      // Events of others in between, or one that came before.
      next += random.below(3) === 0 ? random.below(4) : 0;
      const isOld = random.below(10) === 0;
      const from = isOld ? 1 + random.below(next) : next;
      const to = isOld ? from : next + random.below(3);
      if (!isOld) next = to + 1;
      for (let seq = from; seq <= to; seq++) mine.push(seq);
      search.note(from, to);
      if (random.below(5) === 0) dead.add(Math.max(applied.seq + 1, 1 + random.below(next + 2)));
      if (random.below(4) === 0) applied.seq += random.below(next - applied.seq);
      if (random.below(4) === 0) search.look();
    }
    applied.seq = next + 3;
    search.look();
    const expected = new Set(mine.filter((seq) => dead.has(seq)));
    t.strictSame(new Set(search.listed), expected);
  }
  t.end();
});
